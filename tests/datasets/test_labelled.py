"""Objects for the training of detectors: what is read, and what is refused with the place and a remedy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.fabricate import CATEGORIES, HEIGHT, WIDTH, things_of
from helpers.fabricate_instances import InstancesFiles, write_instances

from aligncat.datasets.labelled import LabelledData, read_labelled
from aligncat.errors import DataError, ImageError
from aligncat.geometry import decode_mask


def read(files: InstancesFiles, **options: bool) -> LabelledData:
    return read_labelled(files.save(), files.images, **options)


@pytest.fixture
def files(tmp_path: Path) -> InstancesFiles:
    return write_instances(tmp_path)


def test_polygons_and_run_lengths_become_masks_of_the_right_classes(files: InstancesFiles) -> None:
    data = read(files)
    assert data.labels == tuple(CATEGORIES.values())
    assert [photo.name for photo in data.photos] == [f"photo-{number}.png" for number in range(6)]
    for number, photo in enumerate(data.photos):
        assert photo.size == (WIDTH, HEIGHT)
        for labelled, thing in zip(photo.objects, things_of(number), strict=True):
            assert data.labels[labelled.category] == thing.category and not labelled.crowd
            assert labelled.box == thing.box and labelled.mask is not None
            expected = np.zeros((HEIGHT, WIDTH), dtype=bool)
            x1, y1, x2, y2 = thing.box
            expected[y1:y2, x1:x2] = True
            assert np.array_equal(decode_mask(labelled.mask), expected)


@pytest.mark.parametrize("absent", [[], None, "", [[]]])
def test_an_object_without_a_mask_has_its_box_alone(
    files: InstancesFiles, absent: object, caplog: pytest.LogCaptureFixture
) -> None:
    files.content["annotations"][0]["segmentation"] = absent
    first = read(files).photos[0].objects[0]
    assert first.mask is None and first.box == things_of(0)[0].box
    assert "1 of 12 objects have a box and no mask; the whole box is learned as the mask" in caplog.text


def test_crowds_are_kept_apart_and_photos_without_objects_stay(
    files: InstancesFiles, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    files.content["annotations"][1]["iscrowd"] = 1
    files.content["annotations"] = [row for row in files.content["annotations"] if row["image_id"] != 5]
    photos = read(files).photos
    assert [one.crowd for one in photos[0].objects] == [False, True]
    assert photos[5].objects == () and "1 crowds are not learned" in caplog.text


def test_a_category_without_objects_is_named(files: InstancesFiles, caplog: pytest.LogCaptureFixture) -> None:
    files.content["categories"].append({"id": 90, "name": "toothbrush"})
    assert read(files).labels[-1] == "toothbrush"
    assert "categories without objects: toothbrush" in caplog.text


Change = Callable[[InstancesFiles], object]
BAD: dict[str, tuple[Change, str]] = {
    "no annotations": (lambda f: f.content.update(annotations=[]), "instances.json: no usable row"),
    "no key": (lambda f: f.content.pop("annotations"), "'annotations' is missing"),
    "crowds alone": (
        lambda f: [row.update(iscrowd=1) for row in f.content["annotations"]],
        "instances.json: no usable row",
    ),
    "image that is not listed": (
        lambda f: f.content["annotations"][3].update(image_id=77),
        "annotation 4: image_id 77 is not among the images",
    ),
    "missing photo": (lambda f: (f.images / "photo-2.png").unlink(), "image 2: .*photo-2.png: no such image file"),
    "broken photo": (
        lambda f: (f.images / "photo-2.png").write_bytes((f.images / "photo-2.png").read_bytes()[:90]),
        "image 2: .*photo-2.png",
    ),
    "no photo but text": (lambda f: (f.images / "photo-2.png").write_text("text"), "image 2: .*photo-2.png"),
    "other size": (
        lambda f: (f.content["images"][1].update(width=WIDTH + 9), f.content["annotations"].pop(3)),
        "the annotations are for 57 x 40 pixels",
    ),
    "one photo twice": (
        lambda f: f.content["images"][1].update(file_name="photo-0.png"),
        "the photo photo-0.png is that of an earlier image",
    ),
    "category ids clash": (
        lambda f: f.content["categories"].append({"id": 18, "name": "cup"}),
        "the id 18 was used before",
    ),
    "names repeat": (
        lambda f: f.content["categories"].append({"id": 5, "name": "Dog"}),
        "the categories 5 .'Dog'. and 18 .'dog'. have the same name; join them",
    ),
    "no categories": (lambda f: f.content.update(categories=[]), "has no categories"),
    "unknown category": (
        lambda f: f.content["annotations"][0].update(category_id=4),
        "annotation 1: category_id 4 is not in",
    ),
    "neither box nor mask": (
        lambda f: [f.content["annotations"][0].pop(key) for key in ("bbox", "segmentation")],
        "annotation 1: has neither 'segmentation' nor 'bbox'",
    ),
    "box outside": (
        lambda f: f.content["annotations"][0].update(bbox=[900, 900, 5, 5], segmentation=[]),
        "annotation 1: the box",
    ),
    "photo outside its folder": (lambda f: f.content["images"][0].update(file_name="../x.png"), "lie inside it"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_its_place(files: InstancesFiles, name: str) -> None:
    change, message = BAD[name]
    change(files)
    with pytest.raises(DataError, match=message):
        read(files)


def test_bad_rows_and_photos_are_left_out_where_asked(files: InstancesFiles, caplog: pytest.LogCaptureFixture) -> None:
    files.content["annotations"][0]["category_id"] = 4
    (files.images / "photo-2.png").write_text("text")
    with pytest.raises(DataError, match="category_id 4"):
        read(files, skip_bad_images=True)
    with pytest.raises(ImageError, match="photo-2"):
        read(files, skip_bad_rows=True)
    photos = read(files, skip_bad_rows=True, skip_bad_images=True).photos
    assert [len(photo.objects) for photo in photos] == [1, 2, 2, 2, 2]
    assert "skipped 1 bad rows, kept 11" in caplog.text and "1 photos left out" in caplog.text


def test_no_object_is_left_if_every_photo_is_broken(files: InstancesFiles) -> None:
    for photo in files.images.iterdir():
        photo.write_text("text")
    with pytest.raises(DataError, match="none of its photos has an annotated object"):
        read(files, skip_bad_images=True)


def test_other_data_must_have_the_same_categories(files: InstancesFiles) -> None:
    data = read_labelled(files.path, files.images, labels=("couch", "Person", "dog", "cup"))
    assert [one.category for one in data.photos[0].objects] == [1, 2]
    with pytest.raises(DataError, match="the category 'couch' is not among the categories to train on"):
        read_labelled(files.path, files.images, labels=("person", "dog"))
