"""Label Studio's run lengths, read by an independent decoder, and one case by hand."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.brush_reader import read_brush
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from aligncat.grounder.writers.brush import brush_run_lengths


def test_a_mask_of_two_pixels_by_hand() -> None:
    bits = f"{8:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"  # 8 values of 8 bits; lengths of 3, 4, 8, 16 bits
    bits += "1" + "00" + "011" + "00000000"  # a run of 4 zeros
    bits += "1" + "00" + "011" + "11111111"  # a run of 4 times 255
    expected = [int(bits.ljust(88, "0")[start : start + 8], 2) for start in range(0, 88, 8)]
    assert brush_run_lengths(np.array([[False, True]])) == expected


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_any_mask_is_read_back(mask: np.ndarray) -> None:
    np.testing.assert_array_equal(read_brush(brush_run_lengths(mask), *mask.shape), 255 * mask)


@given(st.integers(1, 30), st.integers(1, 60))
def test_a_full_and_an_empty_mask_are_read_back(height: int, width: int) -> None:
    for value in (False, True):
        mask = np.full((height, width), value)
        np.testing.assert_array_equal(read_brush(brush_run_lengths(mask), height, width), 255 * mask)


@pytest.mark.parametrize("width", [16383, 16384, 16385, 40000])
def test_runs_at_the_longest_length_are_read_back(width: int) -> None:
    """16384 pixels are 65536 values, the most of one run."""
    mask = np.zeros((1, width + 2), np.bool_)
    mask[0, 1:-1] = True
    np.testing.assert_array_equal(read_brush(brush_run_lengths(mask), 1, width + 2), 255 * mask)
