"""The outlines of masks: by hand, and drawn again by pycocotools."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from aligncat.errors import ConfigError
from aligncat.grounder.writers.polygons import check_polygons, mask_polygons


def drawn(polygons: list[np.ndarray], height: int, width: int) -> np.ndarray:
    rles = coco_mask.frPyObjects([polygon.ravel().tolist() for polygon in polygons], height, width)
    return np.asarray(coco_mask.decode(coco_mask.merge(rles))).astype(bool)


def test_a_rectangle_has_four_corners_a_quarter_of_a_pixel_inside() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:28] = True
    [corners] = mask_polygons(mask)
    assert sorted(map(tuple, corners.tolist())) == [(10.25, 5.25), (10.25, 14.75), (27.75, 5.25), (27.75, 14.75)]
    np.testing.assert_array_equal(drawn([corners], 20, 30), mask)


def test_the_largest_part_comes_first_and_holes_are_filled() -> None:
    mask = np.zeros((30, 30), bool)
    mask[1:4, 1:4] = mask[10:30, 10:30] = True
    mask[15:20, 15:20] = False
    first, second = mask_polygons(mask)
    assert first.min() > 9 and second.max() < 5
    mask[15:20, 15:20] = True
    np.testing.assert_array_equal(drawn([first, second], 30, 30), mask)


def test_an_ellipse_has_few_corners_and_nearly_its_pixels() -> None:
    y, x = np.mgrid[:200, :300] + 0.5
    mask = ((x - 150) / 120) ** 2 + ((y - 100) / 60) ** 2 < 1
    [corners] = mask_polygons(mask)
    again = drawn([corners], 200, 300)
    assert len(corners) < 60
    assert (again & mask).sum() / (again | mask).sum() > 0.98


@given(st.integers(1, 12), st.integers(1, 12), st.binary(min_size=18, max_size=18))
def test_any_mask_has_polygons_inside_the_photo_that_cover_its_parts(height: int, width: int, content: bytes) -> None:
    mask = np.unpackbits(np.frombuffer(content, np.uint8))[: height * width].reshape(height, width).astype(bool)
    polygons = mask_polygons(mask)
    assert bool(polygons) == mask.any()
    for corners in polygons:
        assert corners.shape[0] >= 3 and corners.shape[1] == 2
        assert (corners >= 0).all() and (corners <= (width, height)).all()
    for y, x in np.argwhere(mask):
        assert any(
            (corners.min(axis=0) <= (x + 1.5, y + 1.5)).all() and (corners.max(axis=0) >= (x - 0.5, y - 0.5)).all()
            for corners in polygons
        )


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ConfigError, match=r"pip install 'aligncat\[polygons\]'"):
        check_polygons()
