"""Whether a detector has seen a photo: known from a named set, from a list, or unknown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aligncat.datasets.split import Split
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.leak import (
    Judgement,
    SplitAudit,
    audit_split,
    judge_detector,
    known_by_name,
    read_training_images,
    without,
)
from aligncat.evaluation.results import Seen
from aligncat.types import ImageRecord

TRAIN, VAL, TEST = (f"COCO_{release}_000000000009.jpg" for release in ("train2014", "val2014", "test2014"))


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


def split_of(*photos: str, dataset: str = "refcoco") -> Split:
    images = {str(number): ImageRecord(str(number), Path("photos") / name) for number, name in enumerate(photos)}
    return Split(dataset, "val", "unc", images, ())


@pytest.mark.parametrize(
    ("photos", "counts", "verdict"),
    [
        ((TRAIN, TRAIN), (2, 2, 0), "leaked"),
        ((TRAIN, VAL, "1.jpg"), (3, 1, 2), "leaked"),
        ((VAL, TEST), (2, 0, 1), "unknown"),
        ((TEST,), (1, 0, 0), "clean"),
        (
            ("000000000009.jpg",),
            (1, 1, 0),
            "leaked",
        ),  # no release in the name, but all photos of RefCOCO are from train2014
    ],
)
def test_one_seen_photo_is_a_leak_and_one_unknown_photo_is_not_clean(
    photos: tuple[str, ...], counts: tuple[int, int, int], verdict: str
) -> None:
    audit = audit_split(split_of(*photos), read_training_images("coco-train2017"))
    assert audit == SplitAudit("refcoco", "unc", "val", *counts)
    assert audit.verdict == verdict


def test_a_photo_whose_name_has_no_release_is_unknown_outside_refcoco() -> None:
    audit = audit_split(split_of("000000000009.jpg", dataset="jsonl"), read_training_images("coco-train2017"))
    assert audit.verdict == "unknown"


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
    training = known_by_name(detector, dataset)
    assert (training and audit_split(split_of(photo, dataset=dataset), training).verdict) == verdict


COCO_DETECTOR = "facebook/mask2former-swin-base-coco-instance"


@pytest.mark.parametrize(
    ("detector", "listed", "claim", "expected"),
    [
        ("mine", None, None, Judgement("unknown", False, None)),
        ("mine", None, "clean", Judgement("clean", True, None)),
        ("mine", None, "leaked", Judgement("leaked", True, None)),
        ("mine", None, "unknown", Judgement("unknown", False, None)),
        ("mine", "mug.jpg", "clean", Judgement("clean", True, None)),  # a list of photos with other names tells nothing
        ("mine", "9", "leaked", Judgement("leaked", False, 1)),
        ("mine", "25", "clean", Judgement("clean", False, 0)),
        ("mine", "9", "clean", None),
        ("mine", "9", "unknown", None),
        ("mine", "25", "leaked", None),
        (COCO_DETECTOR, None, None, Judgement("leaked", False, 1)),
        (COCO_DETECTOR, None, "clean", None),
        (
            COCO_DETECTOR,
            "25",
            None,
            Judgement("leaked", False, 1),
        ),  # a list cannot clear a detector whose name shows a leak
        (COCO_DETECTOR, "25", "clean", None),
    ],
)
def test_a_claim_counts_if_nothing_is_known_and_is_refused_if_it_contradicts(
    tmp_path: Path, detector: str, listed: str | None, claim: Seen | None, expected: Judgement | None
) -> None:
    training = None
    if listed is not None:
        (tmp_path / "list").write_text(listed)
        training = read_training_images(str(tmp_path / "list"))
    if expected is None:
        with pytest.raises(ConfigError, match=rf"--seen {claim} is wrong: .* of the 1 photos of refcoco val"):
            judge_detector(split_of(TRAIN), detector, training=training, claim=claim)
    else:
        assert judge_detector(split_of(TRAIN), detector, training=training, claim=claim) == expected


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


def own_detector(folder: Path, images: str, *started_from: str) -> Path:
    """Write what `aligncat detector train` writes about the images."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"aligncat_started_from": started_from}))
    (folder / "trained-on.txt").write_text(images)
    (folder / "held-out.txt").write_text("3.jpg\n")
    return folder


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
    training = known_by_name(str(folder), "own")
    assert training is not None and training.name == "mine/trained-on.txt"
    assert {photo: training.holds(photo) for photo in held} == held
    given = read_training_images(str(folder))  # the folder as `aligncat audit --detector_images`
    assert given.name == training.name and {photo: given.holds(photo) for photo in held} == held


def test_a_verdict_comes_from_the_detectors_folder(tmp_path: Path) -> None:
    folder = own_detector(tmp_path / "mine", "1.jpg\n", "mini")
    seen, new = split_of("1.jpg", "4.jpg"), split_of("3.jpg", "4.jpg")
    assert judge_detector(seen, str(folder)) == Judgement("leaked", False, 1)
    assert judge_detector(new, str(folder)) == Judgement("clean", False, 0)
    with pytest.raises(ConfigError, match=r"according to mine/trained-on.txt"):
        judge_detector(seen, str(folder), claim="clean")
    assert read_training_images(str(folder)).listed == ("1.jpg",)


def test_a_folder_that_was_trained_anew_tells_nothing_of_the_weights_in_a_store(tmp_path: Path) -> None:
    folder = own_detector(tmp_path / "mine", "1.jpg\n", "mini")
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, "aligncat_weights_sha256": "new"}))
    split = split_of("3.jpg")
    assert judge_detector(split, str(folder), weights_sha256="new") == Judgement("clean", False, 0)
    assert judge_detector(split, str(folder), weights_sha256="old") == Judgement("unknown", False, None)


def test_a_folder_without_a_record_and_a_detector_that_is_gone_are_unknown(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.json").write_text("{}")
    assert known_by_name(str(tmp_path / "theirs"), "own") is None
    assert known_by_name(str(tmp_path / "gone"), "own") is None
