"""Leak audit: was the detector trained on the photos that it is evaluated on?"""

from __future__ import annotations

from dataclasses import dataclass

from aligncat.datasets.known import known_dataset
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError
from aligncat.evaluation.results import Seen
from aligncat.evaluation.training_images import COCO_FILE, TrainingImages, known_training_images
from aligncat.types import ImageRecord


@dataclass(frozen=True, slots=True)
class SplitAudit:
    """The number of a split's photos that a detector was trained on.

    Attributes:
        dataset: the dataset's name.
        split_by: who divided the dataset; None if it has only one division.
        split: the split's name.
        images: the number of photos in the split.
        seen: the number of photos that the detector was trained on.
        unknown: the number of photos whose membership is unknown.
    """

    dataset: str
    split_by: str | None
    split: str
    images: int
    seen: int
    unknown: int

    @property
    def verdict(self) -> Seen:
        """Return "leaked" if any photo was seen, "clean" if certainly none was, and "unknown" otherwise."""
        if self.seen:
            return "leaked"
        return "unknown" if self.unknown else "clean"


def audit_split(split: Split, training: TrainingImages) -> SplitAudit:
    """Count the photos of a split that a detector was trained on.

    Args:
        split: the split; its photos need not be on disk.
        training: the images that the detector was trained on.
    """
    answers = [training.holds(_photo_name(split, record)) for record in split.images.values()]
    return SplitAudit(
        dataset=split.dataset,
        split_by=split.split_by,
        split=split.split,
        images=len(answers),
        seen=answers.count(True),
        unknown=answers.count(None),
    )


def _photo_name(split: Split, record: ImageRecord) -> str:
    """Return a photo's file name as COCO's 2014 release writes it.

    All photos of the RefCOCO datasets are from train2014, so a name without a release gets that of train2014.
    """
    name = record.path.name
    matched = COCO_FILE.fullmatch(name)
    plain = matched is not None and matched["release"] is None
    return f"COCO_train2014_{name}" if plain and known_dataset(split.dataset).photos == "coco" else name


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a detector and a split's photos.

    Attributes:
        seen: whether the detector was trained on any of the photos.
        claimed: True if `seen` is only the user's claim: neither a list nor what is known of the detector supports it.
        images_seen: the number of photos that the detector was trained on; None if unknown.
    """

    seen: Seen
    claimed: bool
    images_seen: int | None


def judge_detector(
    split: Split,
    detector: str,
    *,
    weights_sha256: str | None = None,
    training: TrainingImages | None = None,
    claim: Seen | None = None,
) -> Judgement:
    """Decide whether a detector has seen a split's photos.

    There are two sources: the list of training images, and what is known about a detector of this name, or with these
    weights. The user's claim counts only if neither gives a verdict. If both do, the one that finds more photos wins,
    so a list cannot clear a detector that is known to have seen photos.

    Args:
        split: the split; its photos need not be on disk.
        detector: the detector's name.
        weights_sha256: the hash of its weights, if known.
        training: the images that it was trained on, if there is a list.
        claim: the user's claim.

    Raises:
        ConfigError: the claim contradicts the list or what is known about the detector.
    """
    shown = [
        (audit_split(split, each), each.name)
        for each in (training, known_training_images(detector, split.dataset, weights_sha256=weights_sha256))
        if each is not None
    ]
    known = [(audit, name) for audit, name in shown if audit.verdict != "unknown"]
    if not known:
        return Judgement(claim or "unknown", claim in ("clean", "leaked"), None)
    audit, name = max(known, key=lambda each: each[0].seen)
    if claim not in (None, audit.verdict):
        raise ConfigError(
            f"--seen {claim} is wrong: the detector was trained on {audit.seen:,} of the {audit.images:,} photos of "
            f"{split.dataset} {split.split}, according to {name}; leave --seen out"
        )
    return Judgement(audit.verdict, False, audit.seen)
