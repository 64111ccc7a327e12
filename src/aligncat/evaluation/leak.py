"""Leak audit: was the detector trained on the photos that it is evaluated on?

A photo is identified by its COCO id if its file name holds one (COCO_train2014_000000000009.jpg, 000000000009.jpg),
and by its file name otherwise. A photo has the same id in COCO's releases of 2014 and of 2017.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncat.datasets.known import known_dataset
from aligncat.datasets.split import Split
from aligncat.detectors.known import known_detector
from aligncat.detectors.training_record import TRAINED_ON, TrainingRecord
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.results import Seen
from aligncat.files.documents import MAX_ANNOTATION_BYTES, parse_json, read_text
from aligncat.files.fields import as_mapping, required_int, required_list, required_str
from aligncat.types import ImageRecord

_COCO_FILE = re.compile(r"(?:COCO_(?P<release>(?:train|val)2014|test201[45])_)?(?P<id>\d{12})\.\w+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_COCO_ID = re.compile(r"\d{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """The images that a detector was trained on.

    Attributes:
        name: the name of a known set, or of the file that lists the images.
        holds: tells whether the photo with a given file name is among the images; None if that is unknown.
        listed: the images as written in the file; None if there is no file.
    """

    name: str
    holds: Callable[[str], bool | None]
    listed: tuple[str, ...] | None


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


def read_training_images(source: str) -> TrainingImages:
    """Return the images that a detector was trained on.

    Args:
        source: "coco-train2014", "coco-train2017", or a file. The file is either an annotation file in COCO's format,
            of which `images` is read, or a text file with one file name or COCO id per line. Instead of the file, the
            folder of a detector that `aligncat detector train` wrote; the images of the detector that its training
            started from then count too.

    Raises:
        DataError: the file does not exist or has neither format.
        DetectorError: the folder's record is damaged.
    """
    if source in NAMED:
        return TrainingImages(source, NAMED[source], None)
    record = TrainingRecord.read(source)
    if record is not None:
        return _recorded(source, record)
    path = Path(source)
    if not path.exists():
        raise DataError(f"{source}: no such file, and not a known set of images ({', '.join(NAMED)})")
    text = read_text(path, limit=MAX_ANNOTATION_BYTES)
    is_json = path.suffix == ".json" or text.lstrip().startswith(("{", "["))
    listed = _images_of_json(text, path) if is_json else _lines(text, path)
    if not listed:
        raise DataError(f"{path}: lists no image")
    return TrainingImages(path.name, _membership(listed), listed)


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
    matched = _COCO_FILE.fullmatch(name)
    plain = matched is not None and matched["release"] is None
    return f"COCO_train2014_{name}" if plain and known_dataset(split.dataset).photos == "coco" else name


def known_by_name(detector: str, dataset: str, *, weights_sha256: str | None = None) -> TrainingImages | None:
    """Return the training images of a detector: those that its folder lists, or those of `KNOWN_DETECTORS`.

    A detector that `aligncat detector train` wrote has also seen the images of the one that its training started from.

    Args:
        detector: the detector's name.
        dataset: the name of the dataset that it is evaluated on.
        weights_sha256: the hash of its weights, if known. A folder that has been trained anew does not count.

    Returns:
        The training images, or None if neither tells whether they include photos of the dataset.
    """
    record = TrainingRecord.read(detector, weights_sha256=weights_sha256)
    if record is not None:
        return _recorded(detector, record)
    known = known_detector(detector)
    if known is None or known.trained_on is None:
        return None
    if known.trained_on in NAMED:
        return TrainingImages(known.trained_on, NAMED[known.trained_on], None)
    if known.has_not_seen(dataset):
        return TrainingImages(known.trained_on, lambda photo: False, None)
    return None


def _recorded(folder: str, record: TrainingRecord) -> TrainingImages:
    """Return the images that a detector's folder lists, with those of the detectors that its training started from."""
    sets = [_membership(record.images), *map(_seen_before, record.started_from)]
    return TrainingImages(f"{Path(folder).name}/{TRAINED_ON}", lambda photo: _any_holds(sets, photo), record.images)


def _seen_before(name: str) -> Callable[[str], bool | None]:
    """Return a function that tells whether the detector that a training started from has seen a photo."""
    known = known_detector(name)
    if known is not None and known.trained_on in NAMED:
        return NAMED[known.trained_on]
    # A shipped detector has learned from scenes that were composed as it went on, so they are no dataset's photos.
    shipped = known is not None and known.folder is not None
    return lambda photo: False if shipped else None


def _any_holds(sets: Sequence[Callable[[str], bool | None]], photo: str) -> bool | None:
    """Return whether any of some sets of images holds a photo; None if that is unknown."""
    answers = [holds(photo) for holds in sets]
    return True if True in answers else None if None in answers else False


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a detector and a split's photos.

    Attributes:
        seen: whether the detector was trained on any of the photos.
        claimed: True if `seen` is only the user's claim: neither a list nor the detector's name supports it.
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

    There are two sources: the list of training images, and what is known about a detector of this name. The user's
    claim counts only if neither gives a verdict. If both do, the one that finds more photos wins, so a list cannot
    clear a detector whose name shows a leak.

    Args:
        split: the split; its photos need not be on disk.
        detector: the detector's name.
        weights_sha256: the hash of its weights, if known.
        training: the images that it was trained on, if there is a list.
        claim: the user's claim.

    Raises:
        ConfigError: the claim contradicts the list or what is known about the name.
    """
    shown = [
        (audit_split(split, each), each.name)
        for each in (training, known_by_name(detector, split.dataset, weights_sha256=weights_sha256))
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


def without(listed: Iterable[str], photos: Iterable[str]) -> list[str]:
    """Return the listed images that are not among the photos, in the order of the list.

    Args:
        listed: file names or COCO ids.
        photos: the file names of the photos to leave out.
    """
    removed = {_key(photo) for photo in photos}
    return [image for image in listed if _key(image) not in removed]


def _in_train2014(photo: str) -> bool | None:
    matched = _COCO_FILE.fullmatch(photo)
    release = matched and matched["release"]
    return None if release is None else release == "train2014"


def _in_train2017(photo: str) -> bool | None:
    """Tell whether a photo is in train2017; None if its name does not tell.

    train2017 is train2014 and val2014 without the 5,000 photos of val2017 (82,783 + 40,504 - 5,000 = 118,287).
    """
    matched = _COCO_FILE.fullmatch(photo)
    release = matched and matched["release"]
    return None if release in (None, "val2014") else release == "train2014"


NAMED: dict[str, Callable[[str], bool | None]] = {"coco-train2014": _in_train2014, "coco-train2017": _in_train2017}
"""Named sets of images. Each function maps a photo's file name to whether the set holds it, or None if unknown."""


def _key(image: str) -> int | str:
    """Return an image's COCO id, or its file name if it has no id."""
    name = image.replace("\\", "/").rsplit("/", 1)[-1]
    if _COCO_ID.fullmatch(name):
        return int(name)
    matched = _COCO_FILE.fullmatch(name)
    return int(matched["id"]) if matched else name


def _membership(listed: tuple[str, ...]) -> Callable[[str], bool | None]:
    """Return a function that tells whether a photo is on a list.

    It returns None if the list holds no name of the photo's kind (COCO id or other file name), since names of different
    kinds cannot be compared.
    """
    keys = {_key(image) for image in listed}
    kinds = {type(key) for key in keys}

    def holds(photo: str) -> bool | None:
        key = _key(photo) if _COCO_FILE.fullmatch(photo) else photo
        return key in keys if type(key) in kinds else None

    return holds


def _lines(text: str, path: Path) -> tuple[str, ...]:
    lines = [line.strip() for line in text.split("\n")]
    for number, line in enumerate(lines, start=1):
        if _CONTROL.search(line) or len(line) > 1000:
            raise DataError(f"{path}:{number}: neither a file name nor a COCO id")
    return tuple(filter(None, lines))


def _images_of_json(text: str, path: Path) -> tuple[str, ...]:
    document = as_mapping(parse_json(text, str(path), by_row=True), str(path))
    images = []
    for number, value in enumerate(required_list(document, "images", str(path))):
        where = f"{path}: images[{number}]"
        row = as_mapping(value, where)
        images.append(
            required_str(row, "file_name", where) if "file_name" in row else str(required_int(row, "id", where))
        )
    return tuple(images)
