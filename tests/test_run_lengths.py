"""Compressed run lengths are checked before pycocotools reads them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from aligncat.run_lengths import cover_their_images


def one_by_one(counts: bytes) -> list[int] | None:
    """Return the runs of a string, or None if it is malformed: the loop of pycocotools' rleFrString with checks."""
    runs: list[int] = []
    place = 0
    while place < len(counts):
        number = shift = 0
        more = True
        while more:
            if place == len(counts) or not 48 <= counts[place] < 112 or shift == 35:
                return None
            digit = counts[place] - 48
            number |= (digit & 31) << shift
            shift += 5
            place += 1
            more = bool(digit & 32)
            if not more and digit & 16:
                number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
    return runs or None


def is_right(counts: bytes, pixels: int) -> bool:
    runs = one_by_one(counts)
    return runs is not None and min(runs) >= 0 and sum(runs) == pixels


@given(st.data())
def test_masks_that_pycocotools_wrote_pass_and_fit_no_other_size(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5))
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    counts = [coco_mask.encode(np.asfortranarray(random.random(size) < random.random(), np.uint8)) for size in sizes]
    strings = [each["counts"] for each in counts]
    pixels = [height * width for height, width in sizes]
    assert all(is_right(string, size) for string, size in zip(strings, pixels, strict=True))
    assert cover_their_images(strings, pixels).tolist() == [True] * len(sizes)
    assert cover_their_images(strings, [size + 1 for size in pixels]).tolist() == [False] * len(sizes)


@given(
    st.lists(st.tuples(st.binary(max_size=12) | st.text("0123PQo", max_size=12).map(str.encode), st.integers(0, 90)))
)
def test_any_bytes_are_judged_as_one_by_one(masks: list[tuple[bytes, int]]) -> None:
    counts, pixels = [mask[0] for mask in masks], [mask[1] for mask in masks]
    assert cover_their_images(counts, pixels).tolist() == [is_right(*mask) for mask in masks]


@given(st.integers(0, 2**32 - 1))
def test_a_flipped_bit_among_others_is_judged_as_one_by_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = [coco_mask.encode(np.asfortranarray(random.random((9, 8)) < 0.4, np.uint8))["counts"] for _ in range(4)]
    damaged = bytearray(counts[1])
    damaged[random.integers(len(damaged))] ^= 1 << random.integers(8)
    counts[1] = bytes(damaged)
    assert cover_their_images(counts, [72] * 4).tolist() == [is_right(each, 72) for each in counts]


@pytest.mark.parametrize("counts", [b"", b"o", b"oooooooooooooooooooooooo", b"0o", b"\xff", b"4\0", b"o" * 8 + b"0"])
def test_strings_that_pycocotools_would_read_beyond_are_refused(counts: bytes) -> None:
    assert cover_their_images([b"P2", counts], [64, 4]).tolist() == [is_right(b"P2", 64), False]


def test_no_masks() -> None:
    assert cover_their_images([], []).tolist() == []
