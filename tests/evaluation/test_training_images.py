"""The images that a detector was trained on: a named set, a list, or what is known of the detector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.judged_detectors import TEST, TRAIN, VAL, own_detector, split_of

from aligncat.detectors.known import KNOWN_DETECTORS
from aligncat.errors import DataError
from aligncat.evaluation.leak import audit_split
from aligncat.evaluation.training_images import known_training_images, read_training_images, without


@pytest.mark.parametrize(
    ("named", "photo", "held"),
    [
        ("coco-train2014", TRAIN, True),
        ("coco-train2014", VAL, False),
        ("coco-train2014", TEST, False),
        ("coco-train2017", TRAIN, True),
        ("coco-train2017", VAL, None),  # 35,504 of val2014 are in it, 5,000 are not
        ("coco-train2017", TEST, False),
        *(
            (named, photo, None)
            for named in ("coco-train2014", "coco-train2017")
            for photo in ("000000000009.jpg", "1.jpg")
        ),
    ],
)
def test_a_photos_name_tells_whether_a_named_set_holds_it(named: str, photo: str, held: bool | None) -> None:
    assert read_training_images(named).holds(photo) is held


JSON_OF_2017 = json.dumps({"images": [{"id": 9, "file_name": "000000000009.jpg"}, {"id": 25}], "annotations": []})


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (JSON_OF_2017, {TRAIN: True, VAL: True, "COCO_train2014_000000000025.jpg": True, "000000000010.jpg": False}),
        ("9\n25\n", {TRAIN: True, "000000000025.jpg": True, "COCO_train2014_000000000010.jpg": False}),
        ("\ufefftrain2017/000000000009.jpg\r\n\r\n", {TRAIN: True, "000000000025.jpg": False}),
        ("C:\\coco\\COCO_val2014_000000000009.jpg", {TRAIN: True}),
        (
            "9\n",
            {"9.jpg": None, "mug.jpg": None, "123": None},
        ),  # the list has only ids and the photos have none, so they cannot be compared
        ("photos/mug.jpg\n", {"mug.jpg": True, "cup.jpg": False, TRAIN: None}),
    ],
)
def test_a_list_tells_which_photos_it_holds(tmp_path: Path, text: str, held: dict[str, bool | None]) -> None:
    path = tmp_path / "list"
    path.write_text(text, newline="")
    assert {photo: read_training_images(str(path)).holds(photo) for photo in held} == held


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"no such file, and not a known set of images \(coco-train2014, coco-train2017\)"),
        (b"", "lists no image"),
        (b'{"images": []}', "lists no image"),
        (b"caf\xe9.jpg\n", "cannot be read as UTF-8"),
        (b'{"images": ', "not JSON"),
        (b'{"annotations": []}', "key 'images' is missing"),
        (b'{"images": [{"file_name": 9}]}', r"images\[0\]: 'file_name' must be a string"),
        (b'{"images": [{"id": "a"}]}', r"images\[0\]: 'id' must be a whole number"),
        (b"[1, 2]", "must be a mapping"),
        (b"a.jpg\nb\0.jpg\n", "list:2: neither a file name nor a COCO id"),
    ],
)
def test_a_bad_list_is_an_error_that_names_the_place(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "list"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_training_images(str(path))


@pytest.mark.parametrize(
    ("detector", "dataset", "photo", "verdict"),
    [
        ("mini", "mojiref", "MojiRef_000000000001.jpg", "clean"),
        ("mini", "mojirefg", "MojiRef_000000000001.jpg", "clean"),
        ("somebody/mini", "mojiref", "MojiRef_000000000001.jpg", None),
        ("mini", "refcoco", TRAIN, None),
        ("facebook/mask2former-swin-base-coco-instance", "refcoco+", TRAIN, "leaked"),
        ("facebook/mask2former-swin-base-coco-instance", "jsonl", "1.jpg", "unknown"),
        ("facebook/mask2former-swin-base-coco-instance", "jsonl", TRAIN, "leaked"),
        ("facebook/mask2former-swin-large-ade-semantic", "refcoco", TRAIN, None),
    ],
)
def test_a_detectors_name_tells_what_it_was_trained_on(
    detector: str, dataset: str, photo: str, verdict: str | None
) -> None:
    training = known_training_images(detector, dataset)
    assert (training and audit_split(split_of(photo, dataset=dataset), training).verdict) == verdict


@pytest.mark.parametrize(
    ("listed", "photos", "left"),
    [
        (["000000000009.jpg", "000000000025.jpg"], [TRAIN], ["000000000025.jpg"]),
        (["25", "9", "30"], [TRAIN], ["25", "30"]),
        (["a/mug.jpg", "b/cup.jpg"], ["mug.jpg"], ["b/cup.jpg"]),
    ],
)
def test_photos_are_removed_from_a_list(listed: list[str], photos: list[str], left: Any) -> None:
    assert without(listed, photos) == left


COCO = "facebook/mask2former-swin-tiny-coco-instance"


@pytest.mark.parametrize(
    ("started_from", "held"),
    [
        (("mini",), {"1.jpg": True, "2.jpg": True, "3.jpg": False, "4.jpg": False, TRAIN: None}),
        ((COCO,), {"1.jpg": True, "4.jpg": None, TRAIN: True, TEST: None}),
        (("local folder theirs",), {"1.jpg": True, "4.jpg": None}),
        (("mini", COCO), {"1.jpg": True, TRAIN: True, "4.jpg": None}),
    ],
)
def test_a_detectors_own_record_counts_with_what_it_started_from(
    tmp_path: Path, started_from: tuple[str, ...], held: dict[str, bool | None]
) -> None:
    folder = own_detector(tmp_path / "mine", "1.jpg\ndeep/2.jpg\n", *started_from)
    training = known_training_images(str(folder), "own")
    assert training is not None and training.name == "mine/trained-on.txt"
    assert {photo: training.holds(photo) for photo in held} == held
    given = read_training_images(str(folder))  # the folder as `aligncat audit --detector_images`
    assert given.name == training.name and {photo: given.holds(photo) for photo in held} == held


def test_a_folder_without_a_record_and_a_detector_that_is_gone_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.json").write_text("{}")
    assert known_training_images(str(tmp_path / "theirs"), "own") is None
    assert known_training_images(str(tmp_path / "gone"), "own") is None


@pytest.mark.parametrize("name", ["mini", "mini2"])
def test_a_copy_of_a_shipped_detector_is_known_by_its_weights(tmp_path: Path, name: str) -> None:
    [shipped] = [each for each in KNOWN_DETECTORS if each.name == name]
    assert shipped.sha256 is not None
    images = known_training_images(str(tmp_path / "copy"), "mojiref", weights_sha256=shipped.sha256[0])
    assert images is not None and images.name == shipped.trained_on and images.holds("1.jpg") is False
    assert known_training_images(str(tmp_path / "copy"), "refcoco", weights_sha256=shipped.sha256[0]) is None
    assert known_training_images(str(tmp_path / "copy"), "mojiref", weights_sha256="0" * 64) is None
