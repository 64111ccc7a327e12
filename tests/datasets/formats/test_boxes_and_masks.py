"""Boxes and masks in all forms of the formats, and bad ones."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fabricate import HEIGHT, WIDTH, ReferFiles, polygons_of, run_lengths_of, things_of, write_refer_dataset
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.boxes import XYWH, XYXY, BoxNumbers, read_box
from aligncat.datasets.formats.canvas import Canvas
from aligncat.datasets.formats.masks import box_around, read_mask
from aligncat.datasets.load import load_split, load_truth
from aligncat.errors import DataError

REAL_PHOTOS = Path(__file__).resolve().parents[3].parent / "shared" / "real" / "photos"
CANVAS = Canvas(WIDTH, HEIGHT, "file.json: annotation 7", pytest.fail)


def filled(box: tuple[int, int, int, int]) -> np.ndarray[Any, Any]:
    x1, y1, x2, y2 = box
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[y1:y2, x1:x2] = 1
    return mask


def compressed(box: tuple[int, int, int, int]) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(filled(box)))
    return {"size": [HEIGHT, WIDTH], "counts": rle["counts"].decode()}


def test_truth_matches_the_drawn_rectangles(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path)
    truth = load_truth(files.config, "val")
    assert list(truth) == ["8", "9", "10", "11"]
    for referent, thing in zip(truth.values(), (*things_of(4), *things_of(5)), strict=True):
        assert referent.box.dtype == np.float64 and referent.box.tolist() == list(thing.box)
        assert referent.category == thing.category
        assert referent.mask is not None and isinstance(referent.mask["counts"], bytes)
        np.testing.assert_array_equal(coco_mask.decode(referent.mask), filled(thing.box))


# Polygons are not tested on a single pixel, which cannot be split into two halves of whole pixels.
@pytest.mark.parametrize(
    ("form", "box"),
    [(form, box) for form in (polygons_of, run_lengths_of, compressed) for box in ((3, 4, 20, 30), (0, 0, 48, 40))]
    + [(form, box) for form in (run_lengths_of, compressed) for box in ((0, 0, 1, 1), (47, 39, 48, 40))],
)
def test_every_form_of_mask_gives_the_same_pixels(box: tuple[int, int, int, int], form: Any) -> None:
    mask = read_mask(form(box), CANVAS)
    assert mask is not None
    np.testing.assert_array_equal(coco_mask.decode(mask), filled(box))
    assert box_around(mask).tolist() == list(box)


def test_a_polygon_outside_its_image_is_an_error() -> None:
    remarks: list[str] = []
    with pytest.raises(DataError, match=r"file\.json: annotation 7: the mask covers no pixel"):
        read_mask([[100, 100, 120, 100, 120, 120]], replace(CANVAS, remark=remarks.append))
    assert len(remarks) == 1


def test_compressed_counts_of_random_masks_pass_the_check() -> None:
    rng = np.random.default_rng(0)
    for density in (0.01, 0.1, 0.5, 0.9, 0.99):
        pixels = np.asfortranarray((rng.random((HEIGHT, WIDTH)) < density).astype(np.uint8))
        rle = coco_mask.encode(pixels)
        mask = read_mask(rle, CANVAS)
        assert mask is not None
        np.testing.assert_array_equal(coco_mask.decode(mask), pixels)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("mask.png", "list of polygons or run lengths"),
        ([[1, 2, 3, 4]], "at least 6 finite numbers"),  # pycocotools would read it as a box
        ([[1, 2, 3, 4, 5, 6, 7]], "at least 6 finite numbers"),
        ([[1, 2, 3, 4, 5, float("nan")]], "at least 6 finite numbers"),
        ([[1, 2, 3, 4, 5, 10**400]], "at least 6 finite numbers"),
        ([1, 2, 3, 4, 5], "at least 6 finite numbers"),
        ([1, 2, 3, 4, 5, "6"], "a polygon must be a list"),
        ([[0, 0, 1e8, 0, 1e8, 1e8]], "outline is 300,000,000 pixels long"),  # pycocotools would crash
        ([[0, 0, 1e5, 0] * 10], "outline is 2,000,000 pixels long"),
        ([[5e8] * 6], "or lies far outside its image of 48 x 40"),
        ({"counts": [WIDTH * HEIGHT]}, "key 'size' is missing"),
        ({"size": [HEIGHT, WIDTH]}, "key 'counts' is missing"),
        ({"size": [WIDTH, HEIGHT], "counts": [0, WIDTH * HEIGHT]}, r"size is \[48, 40\], but its image's"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 10]}, "cover 15 pixels of an image of 1920"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, 1925]}, "run lengths cover"),
        ({"size": [HEIGHT, WIDTH], "counts": [1.5]}, "whole numbers or a compressed string"),
        ({"size": [HEIGHT, WIDTH], "counts": "ü"}, "whole numbers or a compressed string"),
        ({"size": [HEIGHT, WIDTH], "counts": "zzzz"}, "run lengths cover|middle of a run|not a compressed"),
        ({"size": [HEIGHT, WIDTH], "counts": " "}, "not a compressed run-length string"),
        ({"size": [HEIGHT, WIDTH], "counts": "P" * 40}, "not a compressed run-length string"),
        ({"size": [HEIGHT, WIDTH], "counts": "P"}, "middle of a run"),
        ({"size": [HEIGHT, WIDTH], "counts": ""}, "cover 0 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": [WIDTH * HEIGHT]}, "covers no pixel"),
    ],
)
def test_a_bad_mask_is_an_error_that_says_where(mask: object, message: str) -> None:
    with pytest.raises(DataError, match=r"file\.json: annotation 7: .*" + message):
        read_mask(mask, CANVAS)


@pytest.mark.parametrize(
    ("box", "numbers", "xyxy"),
    [
        ([10, 20, 5, 6], XYWH, [10, 20, 15, 26]),
        ([10, 20, 15, 26], XYXY, [10, 20, 15, 26]),
        ([-0.5, 0.25, 49, 39.75], XYWH, [-0.5, 0.25, 48.5, 40]),  # not clipped
    ],
)
def test_a_box_becomes_corners(box: list[float], numbers: BoxNumbers, xyxy: list[float]) -> None:
    assert read_box(box, CANVAS, numbers).tolist() == xyxy


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (None, "four finite numbers"),
        ("1,2,3,4", "four finite numbers"),
        ([1, 2, 3], "four finite numbers"),
        ([1, 2, 3, "4"], "four finite numbers"),
        ([1, 2, 3, True], "four finite numbers"),
        ([1, 2, 3, float("nan")], "four finite numbers"),
        ([1, 2, 3, float("inf")], "four finite numbers"),
        ([1, 2, 3, 10**400], "four finite numbers"),
        ([[1, 2, 3, 4], [5, 6, 7, 8]], "2 boxes, but a phrase refers to one object"),
        ([5, 5, 5, 9], "has no area"),
        ([5, 5, 4, 9], "has no area"),
        ([5, 9, 9, 9], "has no area"),
        ([WIDTH, 0, WIDTH + 5, 5], "outside its image of 48 x 40"),
        ([0, HEIGHT, 5, HEIGHT + 5], "outside its image of 48 x 40"),
        ([-9, 0, 0, 5], "outside its image of 48 x 40"),
        ([0, -9, 5, -1], "outside its image of 48 x 40"),
    ],
)
def test_a_bad_box_is_an_error_that_says_where(box: object, message: str) -> None:
    with pytest.raises(DataError, match=r"file\.json: annotation 7: .*" + message):
        read_box(box, CANVAS, XYXY)


def annotation(**values: object) -> Any:
    def change(files: ReferFiles) -> None:
        files.instances["annotations"][1].update(values)

    return change


def without(key: str) -> Any:
    return lambda files: files.instances["annotations"][1].pop(key)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("bbox"), "annotation 5001: key 'bbox' is missing"),
        (without("image_id"), "annotation 5001: key 'image_id' is missing"),
        (annotation(image_id=1001), "its image is 1000, but .*annotation 5001 belongs to image 1001"),
        (annotation(bbox=[1, 2, 0, 4]), "annotation 5001: .*has no area"),
        (annotation(segmentation=[[1, 2, 3, 4]]), "annotation 5001: a polygon must be"),
        (
            lambda f: f.instances["annotations"].pop(1),
            r"\(ref_id 1\): ann_id 5001 is not among the annotations",
        ),
        (lambda f: f.refs[1].pop("ann_id"), r"\(ref_id 1\): key 'ann_id' is missing"),
        (lambda f: f.refs[1].update(ref_id=0), r"\(ref_id 0\): the id 0 was used before"),
        (lambda f: f.refs[1].update(category_id=9), r"\(ref_id 1\): category_id 9 is not in"),
    ],
)
def test_bad_truth_is_an_error_or_skipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, change: Any, message: str
) -> None:
    files = write_refer_dataset(tmp_path)
    change(files)
    files.save()
    with pytest.raises(DataError, match=message):
        load_truth(files.config, "train")
    with caplog.at_level(logging.WARNING, logger="aligncat.datasets"):
        assert len(load_truth(files.config, "train", skip_bad_rows=True)) == 7
    assert "skipped 1 bad rows, kept 7" in caplog.text


@pytest.mark.parametrize("key", ["width", "height"])
@pytest.mark.parametrize("value", ["48", 0, -1, None])
def test_truth_needs_the_images_size(tmp_path: Path, key: str, value: object) -> None:
    files = write_refer_dataset(tmp_path)
    files.instances["images"][0][key] = value
    files.save()
    with pytest.raises(DataError, match=rf"instances\.json: image 1000: '{key}'"):
        load_truth(files.config, "train")


def test_a_dataset_with_boxes_only_has_no_masks(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path)
    for row in files.instances["annotations"]:
        del row["segmentation"]
    files.save()
    assert {truth.mask for truth in load_truth(files.config, "train").values()} == {None}


@pytest.mark.skipif(not REAL_PHOTOS.is_dir(), reason="the 100 COCO photos are not on this machine")
def test_masks_of_real_annotations_equal_those_of_pycocotools(tmp_path: Path) -> None:
    instances = json.loads((REAL_PHOTOS / "instances.json").read_text())
    annotations = [row for number, row in enumerate(instances["annotations"]) if number % 4 == 0 or row["iscrowd"]]
    refs = [
        {
            "ref_id": number,
            "ann_id": row["id"],
            "image_id": row["image_id"],
            "category_id": row["category_id"],
            "split": "val",
            "sentences": [{"sent_id": number, "sent": "it"}],
        }
        for number, row in enumerate(annotations)
    ]
    config = DataConfig(tmp_path, "refcoco", images=REAL_PHOTOS / "images")
    ReferFiles(config, REAL_PHOTOS / "images", refs, instances).save()
    coco = COCO(REAL_PHOTOS / "instances.json")
    truths = load_truth(config, "val")
    assert len(truths) == len(annotations) > 200
    for truth, row in zip(truths.values(), annotations, strict=True):
        assert truth.mask is not None
        np.testing.assert_array_equal(coco_mask.decode(truth.mask), coco.annToMask(row))
        x, y, width, height = row["bbox"]
        np.testing.assert_allclose(truth.box, [x, y, x + width, y + height])


@pytest.mark.parametrize("value", [None, [], "", [[]], [[], []]])
def test_an_empty_mask_is_no_mask(value: object) -> None:
    assert read_mask(value, CANVAS) is None


def test_a_referent_with_an_empty_segmentation_has_a_box_only(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path)
    for row, value in zip(files.instances["annotations"], ([], "", None), strict=False):
        row["segmentation"] = value
    files.save()
    truths = list(load_truth(files.config, "train").values())
    assert [truth.mask is None for truth in truths] == [True] * 3 + [False] * 5
    assert [truth.box.tolist() for truth in truths[:2]] == [list(thing.box) for thing in things_of(0)]


@pytest.mark.parametrize("short", [[10, 10, 20, 20], [10, 10], []])
def test_a_polygon_that_covers_nothing_is_dropped_if_others_remain(short: list[float]) -> None:
    remarks: list[str] = []
    box = (3, 4, 20, 30)
    mask = read_mask([*polygons_of(box), short], replace(CANVAS, remark=remarks.append))
    assert mask is not None
    np.testing.assert_array_equal(coco_mask.decode(mask), filled(box))
    [remark] = remarks
    assert remark.startswith("file.json: annotation 7: 1 of the mask's 3 polygons")


def test_dropped_polygons_are_reported_in_one_warning_with_their_annotations(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_refer_dataset(tmp_path)
    for row in files.instances["annotations"][:8]:
        if isinstance(row["segmentation"], list):  # four of the eight
            row["segmentation"].append([1, 2, 3, 4])
    files.save()
    with caplog.at_level(logging.WARNING, logger="aligncat.datasets"):
        assert len(load_truth(files.config, "train")) == 8
    [warning] = caplog.messages
    assert "4 masks are read in part" in warning and "and 1 more" in warning
    assert all(f"annotation {number}: 1 of the mask's 3" in warning for number in (5000, 5002, 5004))


def test_a_polygon_without_outer_brackets_is_one_polygon() -> None:
    mask = read_mask([3, 4, 20, 4, 20, 30, 3, 30], CANVAS)
    assert mask is not None
    np.testing.assert_array_equal(coco_mask.decode(mask), filled((3, 4, 20, 30)))


def test_a_polygon_in_fractions_is_an_error() -> None:
    with pytest.raises(DataError, match=r"annotation 7: the mask's corners are all between 0 and 1"):
        read_mask([[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]], CANVAS)


def test_a_polygon_that_leaves_its_image_is_cut_off_with_a_remark() -> None:
    remarks: list[str] = []
    canvas = replace(CANVAS, remark=remarks.append)
    for right, count in ((49, 0), (60, 1)):  # by a pixel, which is rounding, and by 12
        mask = read_mask([[40, 4, right, 4, right, 30, 40, 30]], canvas)
        assert mask is not None
        np.testing.assert_array_equal(coco_mask.decode(mask), filled((40, 4, 48, 30)))
        assert len(remarks) == count


def test_a_mask_that_is_turned_says_so() -> None:
    with pytest.raises(DataError, match=r"size is \[48, 40\].*\[40, 48\]; EXIF turns the photo"):
        read_mask({"size": [WIDTH, HEIGHT], "counts": [0, WIDTH * HEIGHT]}, CANVAS)


def test_whole_numbers_written_as_floats_are_ids_and_sizes(tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path)
    expected = load_truth(files.config, "train")
    for row in files.instances["annotations"]:
        row |= {key: float(row[key]) for key in ("id", "image_id", "category_id")}
    for row in files.instances["images"]:
        row |= {"id": float(row["id"]), "width": float(WIDTH)}
    for row in files.instances["categories"]:
        row["id"] = float(row["id"])
    files.save()
    found = load_truth(files.config, "train")
    assert [(truth.box.tolist(), truth.category) for truth in found.values()] == [
        (truth.box.tolist(), truth.category) for truth in expected.values()
    ]
    assert len(load_split(files.config, "train").expressions) == 16
