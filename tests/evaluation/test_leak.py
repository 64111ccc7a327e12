"""Whether a detector has seen the photos of a split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.judged_detectors import TEST, TRAIN, VAL, own_detector, split_of

from aligncat.errors import ConfigError
from aligncat.evaluation.leak import Judgement, SplitAudit, audit_split, judge_detector
from aligncat.evaluation.results import Seen
from aligncat.evaluation.training_images import read_training_images


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
