"""Letterbox, masks, boxes and IoU against hand calculations, torch's interpolation and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.direct import largest_component
from PIL import Image

from aligncat.geometry import (
    Letterbox,
    box_iou,
    decode_mask,
    encode_mask,
    largest_component_box,
    letterbox_image,
    mask_iou,
    mask_overlap,
    mask_to_original,
    xywh_to_xyxy,
)
from aligncat.types import RLE


@pytest.mark.parametrize(
    ("width", "height", "size", "expected"),
    [
        # width, height, size -> left, top, inner width, inner height
        (640, 480, 416, (0, 52, 416, 312)),
        (480, 640, 416, (52, 0, 312, 416)),
        (500, 375, 416, (0, 52, 416, 312)),
        (427, 640, 416, (69, 0, 277, 416)),  # 277.55 is cut to 277; 139 / 2 is cut to 69
        (128, 128, 128, (0, 0, 128, 128)),
        (3, 2, 416, (0, 69, 416, 277)),
        (5000, 2, 416, (0, 207, 416, 1)),  # 0.17 rows, but at least 1
        (49, 49, 416, (0, 0, 416, 416)),  # int(49 * (416 / 49)) would be 415; integer arithmetic is exact
    ],
)
def test_letterbox_sizes_and_offsets(width: int, height: int, size: int, expected: tuple[int, int, int, int]) -> None:
    box = Letterbox.of(width, height, size)
    assert (box.left, box.top, box.inner_width, box.inner_height) == expected
    assert (box.width, box.height, box.size) == (width, height, size)


def test_letterbox_image_centres_the_photo_on_grey() -> None:
    square, box = letterbox_image(Image.new("RGB", (40, 20), (200, 10, 30)), 64)
    pixels = np.asarray(square)
    expected = np.full((64, 64, 3), 127, np.uint8)
    expected[16:48] = (200, 10, 30)
    np.testing.assert_array_equal(pixels, expected)
    assert (box.left, box.top) == (0, 16)


@pytest.mark.parametrize(
    ("width", "height", "inner"),
    [
        (640, 480, np.s_[13:91, :]),  # 52 pixels of padding are 13 cells of 4 pixels
        (480, 640, np.s_[:, 13:91]),
        (416, 416, np.s_[:, :]),
        (30, 30, np.s_[:, :]),  # smaller than the grid
    ],
)
def test_mask_to_original_equals_torchs_interpolation_of_the_cells_without_padding(
    width: int, height: int, inner: tuple[slice, slice]
) -> None:
    logits = np.random.default_rng(width).normal(size=(104, 104)).astype(np.float32)
    crop = torch.from_numpy(np.ascontiguousarray(logits[inner]))[None, None]
    resized = torch.nn.functional.interpolate(crop, (height, width), mode="bilinear", align_corners=False)
    mask = mask_to_original(logits, Letterbox.of(width, height, 416))
    assert mask.shape == (height, width) and mask.dtype == np.bool_
    # Pixels may differ only by rounding, where the logit is almost 0.
    wrong = mask != (resized[0, 0].numpy() > 0)
    assert np.abs(resized[0, 0].numpy()[wrong]).max(initial=0) < 1e-5


def test_mask_to_original_when_the_padding_ends_inside_a_cell() -> None:
    box = Letterbox.of(30, 20, 40)  # the image covers 40 x 26 pixels from row 7, so cell rows 1 to 8 of 10
    logits = np.random.default_rng(1).normal(size=(10, 10)).astype(np.float32)
    expected = np.zeros((20, 30), bool)
    for y in range(20):
        for x in range(30):
            row = min(max((7 + (y + 0.5) * 26 / 20) / 4 - 0.5, 1), 8)
            column = min(max((x + 0.5) * 40 / 30 / 4 - 0.5, 0), 9)
            r, c = int(row), int(column)
            down, right = row - r, column - c
            r2, c2 = min(r + 1, 8), min(c + 1, 9)
            top = logits[r, c] * (1 - right) + logits[r, c2] * right
            bottom = logits[r2, c] * (1 - right) + logits[r2, c2] * right
            expected[y, x] = top * (1 - down) + bottom * down > 0
    np.testing.assert_array_equal(mask_to_original(logits, box), expected)


@pytest.mark.parametrize("positive", [0.0, 0.01, 0.2, 0.9])
@pytest.mark.parametrize(("width", "height"), [(90, 60), (40, 75), (64, 64), (7, 50)])
def test_mask_to_original_has_the_bits_of_an_interpolation_of_every_pixel(
    width: int, height: int, positive: float
) -> None:
    rng = np.random.default_rng(width)
    box = Letterbox.of(width, height, 64)
    for _ in range(10):
        logits = -rng.exponential(size=(16, 16)).astype(np.float32)
        logits *= np.where(rng.random((16, 16)) < positive, np.float32(-1), np.float32(1))
        logits[rng.integers(16), rng.integers(16)] = rng.choice([np.nan, np.inf, -np.inf, 0])
        taps = []
        for length, inner, offset in ((height, box.inner_height, box.top), (width, box.inner_width, box.left)):
            cells = np.arange(16)[(np.arange(16) + 1) * 4 > offset]
            cells = cells[cells * 4 < offset + inner]
            centres = (offset + (np.arange(length) + 0.5) * (inner / length)) / 4 - 0.5
            centres = np.clip(centres, cells[0], cells[-1])
            low = centres.astype(int)
            taps.append((low, np.minimum(low + 1, cells[-1]), (centres - low).astype(np.float32)))
        (above, below, down), (before, after, right) = taps
        with np.errstate(invalid="ignore"):  # 0 times infinity
            tall = logits[above] * (1 - down[:, None]) + logits[below] * down[:, None]
            expected = tall[:, before] * (1 - right) + tall[:, after] * right > 0
            np.testing.assert_array_equal(mask_to_original(logits, box), expected)


def test_logits_in_the_padding_never_reach_the_mask() -> None:
    box = Letterbox.of(64, 32, 64)
    logits = np.full((16, 16), 9.0, np.float32)
    logits[4:12] = -1.0
    assert not mask_to_original(logits, box).any()


@pytest.mark.parametrize(("width", "height"), [(1, 500), (500, 1), (1, 1), (2, 3)])
def test_mask_to_original_of_very_narrow_images_keeps_their_size(width: int, height: int) -> None:
    mask = mask_to_original(np.ones((16, 16), np.float32), Letterbox.of(width, height, 64))
    assert mask.shape == (height, width) and mask.all()


@pytest.mark.parametrize(("width", "height"), [(640, 480), (427, 640), (50, 33)])
def test_a_rectangle_survives_letterbox_and_back(width: int, height: int) -> None:
    drawn = np.zeros((height, width, 3), np.uint8)
    rows = slice(height // 4, height // 2)
    columns = slice(width // 3, width // 2)
    drawn[rows, columns] = 255
    square, box = letterbox_image(Image.fromarray(drawn), 416)
    grid = np.asarray(square.convert("L").resize((104, 104), Image.Resampling.BOX), np.float32) - 127.5
    found = largest_component_box(mask_to_original(grid, box))
    wanted = [columns.start, rows.start, columns.stop, rows.stop]
    np.testing.assert_allclose(found, wanted, atol=0.5 * 4 * max(width, height) / 416 + 1)


def test_masks_are_run_lengths_down_the_columns() -> None:
    mask = np.array([[0, 1, 1], [0, 0, 1]], bool)
    rle = encode_mask(mask)
    assert rle["size"] == [2, 3]
    # The columns are 0 0, 1 0, 1 1, so the runs are 2, 1, 1, 2. COCO stores the fourth minus the second.
    assert rle["counts"] == b"2111"
    np.testing.assert_array_equal(decode_mask(rle), mask)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (48, 64)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_encoding_round_trip(shape: tuple[int, int], order: str) -> None:
    mask = np.array(np.random.default_rng(3).random(shape) > 0.5, order=order)
    np.testing.assert_array_equal(decode_mask(encode_mask(mask)), mask)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["#"], [0, 0, 1, 1]),
        (["....", ".##.", "...."], [1, 1, 3, 2]),
        (["#..##", "#..##", "....."], [3, 0, 5, 2]),
        (["#...", ".#..", "..#.", "...."], [0, 0, 3, 3]),  # cells that touch at a corner are connected
        (["##.##", ".....", "....."], [0, 0, 2, 1]),  # of equally large ones, the leftmost
    ],
)
def test_largest_component_box(rows: list[str], expected: list[int]) -> None:
    mask = np.array([[cell == "#" for cell in row] for row in rows])
    assert largest_component_box(mask).tolist() == expected
    assert largest_component_box(mask).dtype == np.float32


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("density", [0.2, 0.4, 0.6])
def test_largest_component_box_of_noise_agrees_with_a_flood_fill(seed: int, density: float) -> None:
    mask = np.random.default_rng(seed).random((23, 31)) < density
    assert largest_component_box(mask).tolist() == largest_component(mask)
    alone = np.pad(mask, ((seed, 3), (4, seed)))
    assert largest_component_box(alone).tolist() == largest_component(alone)


def test_an_empty_mask_has_no_bounding_box() -> None:
    with pytest.raises(ValueError, match="empty mask"):
        largest_component_box(np.zeros((3, 4), bool))


def test_xywh_to_xyxy() -> None:
    assert xywh_to_xyxy([1, 2, 3.5, 4]).tolist() == [1, 2, 4.5, 6]
    assert xywh_to_xyxy([[0, 0, 1, 1], [5, 5, 0, 2]]).tolist() == [[0, 0, 1, 1], [5, 5, 5, 7]]


def test_box_iou_by_hand() -> None:
    first = [[0, 0, 4, 4], [0, 0, 0, 0]]
    second = [[0, 0, 4, 4], [2, 2, 6, 6], [4, 0, 8, 4], [0, 0, 0, 0]]
    np.testing.assert_allclose(box_iou(first, second), [[1, 4 / 28, 0, 0], [0, 0, 0, 0]])
    assert box_iou(np.zeros((0, 4)), second).shape == (0, 4)


def test_mask_iou_and_overlap_agree_with_counting_pixels() -> None:
    masks = [np.random.default_rng(seed).random((9, 11)) > 0.6 for seed in range(5)]
    masks.append(np.zeros((9, 11), bool))
    rles = [encode_mask(mask) for mask in masks]
    counted = np.array([[(a & b).sum() / max((a | b).sum(), 1) for b in masks[2:]] for a in masks[:3]])
    np.testing.assert_allclose(mask_iou(rles[:3], rles[2:]), counted)
    for a, rle_a in zip(masks, rles, strict=True):
        assert mask_overlap(rle_a, rles[0]) == ((a & masks[0]).sum(), (a | masks[0]).sum())
    assert mask_iou([], rles).shape == (0, 6)
    assert mask_iou(rles, []).shape == (6, 0)


def test_masks_of_different_sizes_are_an_error() -> None:
    small: RLE = encode_mask(np.ones((2, 2), bool))
    large: RLE = encode_mask(np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="different sizes"):
        mask_iou([small], [large])
    with pytest.raises(ValueError, match="different sizes"):
        mask_overlap(small, large)
