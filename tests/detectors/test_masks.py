"""Masks and boxes from mask logits: our own rule, and that of QueryMatch's code against a second implementation."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.fabricate import write_image
from helpers.original_querymatch import mask_and_box
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from aligncat.api.extract import extract
from aligncat.detectors import registry
from aligncat.detectors.masks import interpolated_mask, mask_rule, querymatch_mask
from aligncat.detectors.preprocessing import Preprocessing, normalize
from aligncat.detectors.query_detector import QueryDetector
from aligncat.detectors.registry import FAMILIES, DetectorFamily, load_detector, open_detector
from aligncat.errors import ConfigError, StoreError
from aligncat.geometry import Letterbox, decode_mask
from aligncat.store.reader import Store

QUERYMATCH = Preprocessing.of("letterbox-416-to-800")
GRID = 200  # cells of the logits, a quarter of the input


def blobs(seed: int, smooth: float, level: float) -> NDArray[np.float32]:
    """Return logits of random shapes: large ones, specks, holes and lines, some of them in the padding."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((GRID, GRID)), smooth)
    return (noise / noise.std() - level).astype(np.float32)


SIZES = [(640, 480), (480, 640), (640, 427), (416, 416), (1000, 37), (37, 1000), (5, 3), (1, 9)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize(("smooth", "level"), [(0, 2.8), (1, 1.5), (4, 1.0), (20, 0.5)])
def test_querymatchs_masks_and_boxes_equal_an_implementation_without_opencv(
    width: int, height: int, smooth: float, level: float
) -> None:
    logits = blobs(width * height, smooth, level)
    mask, box = mask_and_box(torch.from_numpy(logits), width, height)
    found = querymatch_mask(logits, Letterbox.of(width, height, 416), side=800)
    if found is None:
        assert not mask.any()
    else:
        np.testing.assert_array_equal(found[0], mask)
        assert found[1].tolist() == box and found[1].dtype == np.float32


def square_logits(*rows: str) -> NDArray[np.float32]:
    """Return logits for a 416 px square, larger than 0 in the marked cells of 1 px at the top left."""
    logits = np.full((416, 416), -1, np.float32)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            logits[y, x] = 1 if cell == "#" else -1
    return logits


@pytest.mark.parametrize(
    ("rows", "box"),
    [
        # A frame of 12 pixels encloses more than a block of 12: holes count.
        (("####..###", "#..#..###", "#..#..###", "####..###"), [0, 0, 4, 4]),
        # A line has no area, however long, so the block of four wins.
        (("#########", ".........", "##.......", "##......."), [0, 2, 2, 4]),
        # Of two equal blocks, the upper one is OpenCV's last.
        ((".....##", ".##..##", ".##...."), [5, 0, 7, 2]),
        # Of two lines, likewise.
        (("..##...", ".......", "######."), [2, 0, 4, 1]),
    ],
)
def test_the_largest_contour_is_that_of_the_largest_polygon(rows: tuple[str, ...], box: list[int]) -> None:
    # In a square image with a letterbox of its own size, nothing is resized.
    found = querymatch_mask(square_logits(*rows), Letterbox.of(416, 416, 416), side=416)
    assert found is not None and found[1].tolist() == box


def test_our_own_box_is_that_of_the_piece_with_most_pixels() -> None:
    found = interpolated_mask(
        square_logits("####..####", "#..#..####", "#..#..####", "####.."), Letterbox.of(416, 416, 416)
    )
    assert found is not None and found[1].tolist() == [0, 0, 4, 4]  # 12 pixels each: the first in column order
    found = interpolated_mask(
        square_logits("#########", ".........", "##.......", "##......."), Letterbox.of(416, 416, 416)
    )
    assert found is not None and found[1].tolist() == [0, 0, 9, 1]


def test_boxes_are_truncated_towards_zero_and_may_leave_the_image() -> None:
    # An image of 832 x 416 fills rows 104 to 312 of the letterbox, at half its size. The mask begins 3 rows above it.
    logits = np.full((416, 416), -1, np.float32)
    logits[101:110, 10:21] = 1
    found = querymatch_mask(logits, Letterbox.of(832, 416, 416), side=416)
    assert found is not None and found[1].tolist() == [20, -6, 42, 12]
    # At 1000 px instead of 832: 10 / 416 * 1000 = 24.04, 21 / 416 * 1000 = 50.48, (101 - 104) / 208 * 500 = -7.2.
    found = querymatch_mask(logits, Letterbox.of(1000, 500, 416), side=416)
    assert found is not None and found[1].tolist() == [24, -7, 50, 14]


def test_masks_grow_as_any_share_of_an_inner_pixel_counts() -> None:
    # A row of four pixels, of which the second is inside, becomes 8: half of the pixels beside it are touched as well.
    logits = np.full((416, 416), -1, np.float32)
    logits[:, 1] = 1
    found = querymatch_mask(logits, Letterbox.of(832, 832, 416), side=416)
    assert found is not None
    assert np.flatnonzero(found[0][0]).tolist() == [1, 2, 3, 4]  # interpolated_mask has 2 and 3


def test_a_mask_in_the_padding_alone_is_no_candidate() -> None:
    logits = np.full((416, 416), -1, np.float32)
    logits[:50] = 1
    assert querymatch_mask(logits, Letterbox.of(832, 416, 416), side=416) is None


def test_unknown_masks_and_another_preprocessing_are_errors() -> None:
    with pytest.raises(ConfigError, match="unknown masks 'pixels'; use one of interpolated, querymatch"):
        mask_rule("pixels", QUERYMATCH)
    with pytest.raises(ConfigError, match="this is hub-384; set preprocessing to letterbox-416-to-800"):
        mask_rule("querymatch", Preprocessing.of("hub-384"))


def test_without_opencv_the_error_names_the_extra(bright_box: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not (Path(place) / "cv2").exists()])
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    with pytest.raises(
        ConfigError, match=r"needs OpenCV, which is not installed; run pip install 'aligncat\[querymatch"
    ):
        open_detector(bright_box, preprocessing="letterbox-416-to-800", masks="querymatch")


@pytest.fixture
def bright_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the folder of a detector whose two queries are the bright and the dark part of an image."""
    row = DetectorFamily(name="bright-box", factory="helpers.bright_box:BrightBoxDetector")
    monkeypatch.setattr(registry, "FAMILIES", (*FAMILIES, row))
    (tmp_path / "bright").mkdir()
    (tmp_path / "bright" / "config.json").write_text(json.dumps({"model_type": "bright-box"}))
    return str(tmp_path / "bright")


def test_a_store_records_its_masks(bright_box: str, tmp_path: Path) -> None:
    write_image(tmp_path / "photos" / "0.png", 0)

    def run(name: str, **options: str) -> Store:
        return extract(
            out=tmp_path / name,
            images=tmp_path / "photos",
            detector=bright_box,
            preprocessing="letterbox-416-to-800",
            **options,  # type: ignore[arg-type]
        )

    theirs, ours = run("theirs", masks="querymatch"), run("ours")
    assert json.loads((tmp_path / "theirs" / "manifest.json").read_text())["detector"]["masks"] == "querymatch"
    assert "masks" not in json.loads((tmp_path / "ours" / "manifest.json").read_text())["detector"]
    with pytest.raises(StoreError, match=r'detector\.masks: the store has "querymatch", not "interpolated"'):
        run("theirs")
    # Features, confidences and order do not depend on the masks, so a grounder of either detector reads both stores.
    first, second = theirs.candidates("0.png"), ours.candidates("0.png")
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.confidences, second.confidences)
    assert Store.open(tmp_path / "theirs", expect=ours.manifest.detector).manifest == theirs.manifest
    detector = load_detector(theirs.manifest.detector)
    assert isinstance(detector, QueryDetector) and detector.description().masks == "querymatch"
    with Image.open(tmp_path / "photos" / "0.png") as image:
        [logits] = detector.forward(normalize([QUERYMATCH.square(image)[0]])).mask_logits
        expected = [mask_and_box(torch.from_numpy(logits[query]), *image.size) for query in first.queries]
    assert first.boxes.tolist() == [box for _, box in expected]
    for found, (mask, _) in zip(first.masks, expected, strict=True):
        np.testing.assert_array_equal(decode_mask(found), mask)
