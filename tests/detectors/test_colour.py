"""Colour statistics, against colorsys and hand calculations."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from numpy.typing import NDArray

from aligncat.detectors.colour import COLOUR, HUES, colour_statistics


def painted(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return a black photo with a 4 x 4 square of a colour."""
    photo = np.zeros((10, 12, 3), np.uint8)
    photo[3:7, 5:9] = colour
    return photo


SQUARE = painted((1, 1, 1))[..., 0] > 0


@pytest.mark.parametrize(
    ("colour", "place"),
    [
        ((255, 0, 0), 0),
        ((255, 0, 20), 0),  # on the other side of red
        ((255, 128, 0), 1),  # 30 degrees, in the bin from 16 to 49
        ((0, 255, 0), 4),
        ((0, 0, 255), 7),
        ((30, 0, 0), HUES),  # value 0.12: dark
        ((100, 100, 100), HUES + 1),
        ((110, 100, 100), HUES + 1),  # saturation 0.09
        ((250, 250, 250), HUES + 2),
    ],
)
def test_one_colour_fills_one_bin(colour: tuple[int, int, int], place: int) -> None:
    found = colour_statistics(painted(colour), SQUARE)
    assert found.shape == (COLOUR.dim,) and found.dtype == np.float32
    assert np.flatnonzero(found[: HUES + 3]).tolist() == [place]
    assert found[place] == 1
    np.testing.assert_allclose(found[HUES + 3 : HUES + 6], np.array(colour) / 255, atol=1e-6)


def test_shares_are_square_roots() -> None:
    photo = painted((255, 0, 0))
    photo[3:4, 5:9] = (0, 0, 255)  # a quarter of the square
    found = colour_statistics(photo, SQUARE)
    assert found[0] == pytest.approx(0.75**0.5) and found[7] == pytest.approx(0.5)
    assert found[HUES + 3 : HUES + 6] == pytest.approx([0.75, 0, 0.25])


def test_every_pixel_of_a_small_object_is_read() -> None:
    random = np.random.default_rng(0)
    photo = random.integers(0, 256, (60, 70, 3)).astype(np.uint8)
    mask = np.zeros((60, 70), bool)
    mask[8:50, 20:60] = random.random((42, 40)) > 0.5
    counts = np.zeros(HUES + 3)
    for red, green, blue in photo[mask] / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        if value <= 0.2:
            counts[HUES] += 1
        elif saturation <= 0.25:
            counts[HUES + 2 if value > 0.75 else HUES + 1] += 1
        else:
            counts[int(hue * HUES + 0.5) % HUES] += 1
    found = colour_statistics(photo, mask)
    np.testing.assert_allclose(found[: HUES + 3] ** 2, counts / mask.sum(), atol=2e-3)
    np.testing.assert_allclose(found[HUES + 3 : HUES + 6], photo[mask].mean(axis=0) / 255, atol=1e-5)


def test_a_large_object_is_sampled_evenly() -> None:
    photo = np.zeros((600, 800, 3), np.uint8)
    photo[:, 200:] = (255, 0, 0)  # three quarters
    found = colour_statistics(photo, np.ones((600, 800), bool))
    assert found[0] ** 2 == pytest.approx(0.75, abs=0.02)
    assert found[HUES] ** 2 == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("columns", [[0], [999], [0, 999], [0, 7, 999]])
def test_a_mask_that_the_grid_misses_is_read(columns: list[int]) -> None:
    photo = np.full((1000, 1000, 3), (0, 255, 0), np.uint8)
    mask = np.zeros((1000, 1000), bool)
    mask[:, columns] = True
    photo[mask] = (255, 0, 0)
    assert colour_statistics(photo, mask)[0] == 1


def test_only_the_pixels_of_the_mask_count() -> None:
    random = np.random.default_rng(1)
    photo, mask = random.integers(0, 256, (300, 200, 3)).astype(np.uint8), random.random((300, 200)) > 0.7
    other = np.where(mask[..., None], photo, 255 - photo)
    np.testing.assert_array_equal(colour_statistics(photo, mask), colour_statistics(other, mask))
