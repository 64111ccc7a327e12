"""Has the detector been trained on the photos that it is evaluated on?

A photo is known by its COCO id, which COCO's releases of 2014 and 2017 share, where its file name holds one
(COCO_train2014_000000000009.jpg, 000000000009.jpg), and by its file name otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from aligncat.datasets.known import known_dataset
from aligncat.datasets.split import Split
from aligncat.detectors.registry import known_detector
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.results import Seen
from aligncat.files.fields import as_mapping, parse_json, required_int, required_list, required_str
from aligncat.types import ImageRecord

_COCO_FILE = re.compile(r"(?:COCO_(?P<release>(?:train|val)2014|test201[45])_)?(?P<id>\d{12})\.\w+", re.ASCII)
_COCO_ID = re.compile(r"\d{1,12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """The images that a detector was trained on.

    Attributes:
        name: what they are called.
        holds: whether a photo, by its file name, is among them; None where that cannot be known.
        listed: the images one by one, as their file writes them; None where there is no list.
    """

    name: str
    holds: Callable[[str], bool | None]
    listed: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SplitAudit:
    """How many of a split's photos a detector was trained on.

    Attributes:
        dataset: by name.
        split_by: who divided it; None where the dataset knows one division.
        split: by name.
        images: its photos.
        seen: those that the detector was trained on.
        unknown: those of which that cannot be known.
    """

    dataset: str
    split_by: str | None
    split: str
    images: int
    seen: int
    unknown: int

    @property
    def verdict(self) -> Seen:
        """Leaked where any was, clean where none was, else unknown."""
        if self.seen:
            return "leaked"
        return "unknown" if self.unknown else "clean"


def read_training_images(source: str) -> TrainingImages:
    """What a detector was trained on.

    Args:
        source: "coco-train2014" or "coco-train2017"; or a file: an annotation file in COCO's format, whose `images`
            count, or a text file with a file name or a COCO id a line.

    Raises:
        DataError: there is no such file, or it is neither.
    """
    if source in NAMED:
        return TrainingImages(source, NAMED[source], None)
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{source}: no such file, and none of the names that are known: {', '.join(NAMED)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    listed = _images_of_json(text, path) if text.lstrip().startswith(("{", "[")) else _lines(text, path)
    if not listed:
        raise DataError(f"{path}: lists no image")
    return TrainingImages(path.name, _membership(listed), listed)


def audit_split(split: Split, training: TrainingImages) -> SplitAudit:
    """Count the photos of a split that a detector was trained on.

    Args:
        split: read with or without its photos.
        training: what the detector was trained on.
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
    """A photo's file name, as COCO's release of 2014 writes it: all of RefCOCO's photos are of its train2014."""
    name = record.path.name
    matched = _COCO_FILE.fullmatch(name)
    plain = matched is not None and matched["release"] is None
    return f"COCO_train2014_{name}" if plain and known_dataset(split.dataset).photos == "coco" else name


def known_by_name(detector: str, dataset: str) -> TrainingImages | None:
    """Return what a detector was trained on, as `KNOWN_DETECTORS` of the detector registry says.

    Args:
        detector: its name.
        dataset: what it is evaluated on.

    Returns:
        Its training images, or None if its name does not say.
    """
    known = known_detector(detector)
    if known is None or known.trained_on is None:
        return None
    if known.trained_on in NAMED:
        return TrainingImages(known.trained_on, NAMED[known.trained_on], None)
    if known.unseen is not None and fnmatchcase(dataset, known.unseen):
        return TrainingImages(known.trained_on, lambda photo: False, None)
    return None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said of a detector and a split's photos.

    Attributes:
        seen: whether the detector was trained on any of them.
        claimed: whether `seen` is what somebody said, as nothing at hand shows it.
        images_seen: how many of them it is known to have been trained on; None where that is not known.
    """

    seen: Seen
    claimed: bool
    images_seen: int | None


def judge(
    split: Split, detector: str, *, training: TrainingImages | None = None, claim: Seen | None = None
) -> Judgement:
    """Whether a detector has seen a split's photos: as a list of its images or its name shows, and else as claimed.

    Where list and name both tell, the one that finds more photos counts: no list undoes what a name tells.

    Args:
        split: read with or without its photos.
        detector: its name.
        training: what it was trained on, where there is a list.
        claim: what somebody says.

    Raises:
        ConfigError: the claim contradicts what list or name shows.
    """
    shown = [
        (audit_split(split, each), each.name)
        for each in (training, known_by_name(detector, split.dataset))
        if each is not None
    ]
    known = [(audit, name) for audit, name in shown if audit.verdict != "unknown"]
    if not known:
        return Judgement(claim or "unknown", claim in ("clean", "leaked"), None)
    audit, name = max(known, key=lambda each: each[0].seen)
    if claim not in (None, audit.verdict):
        raise ConfigError(
            f"--seen {claim}, but of the {audit.images:,} photos of {split.dataset} {split.split} the detector was "
            f"trained on {audit.seen:,} ({name}): leave --seen out"
        )
    return Judgement(audit.verdict, False, audit.seen)


def without(listed: Iterable[str], photos: Iterable[str]) -> list[str]:
    """A list of images without some photos.

    Args:
        listed: file names or COCO ids.
        photos: file names.

    Returns:
        What is left, in order.
    """
    removed = {_key(photo) for photo in photos}
    return [image for image in listed if _key(image) not in removed]


def _in_train2014(photo: str) -> bool | None:
    matched = _COCO_FILE.fullmatch(photo)
    release = matched and matched["release"]
    return None if release is None else release == "train2014"


def _in_train2017(photo: str) -> bool | None:
    """train2017 is all of train2014, and val2014 but for the 5,000 of val2017 (82,783 + 40,504 - 5,000 = 118,287)."""
    matched = _COCO_FILE.fullmatch(photo)
    release = matched and matched["release"]
    return None if release in (None, "val2014") else release == "train2014"


NAMED: dict[str, Callable[[str], bool | None]] = {"coco-train2014": _in_train2014, "coco-train2017": _in_train2017}
"""Sets of images of which a photo's file name tells whether it is one of them."""


def _key(image: str) -> int | str:
    """The COCO id, or the file name where there is none."""
    name = image.replace("\\", "/").rsplit("/", 1)[-1]
    if _COCO_ID.fullmatch(name):
        return int(name)
    matched = _COCO_FILE.fullmatch(name)
    return int(matched["id"]) if matched else name


def _membership(listed: tuple[str, ...]) -> Callable[[str], bool | None]:
    """Whether a photo is on a list; None where the list has no name of the photo's kind, so that no two compare."""
    keys = {_key(image) for image in listed}
    kinds = {type(key) for key in keys}

    def holds(photo: str) -> bool | None:
        key = _key(photo) if _COCO_FILE.fullmatch(photo) else photo
        return key in keys if type(key) in kinds else None

    return holds


def _lines(text: str, path: Path) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    for number, line in enumerate(lines, start=1):
        if "\0" in line or len(line) > 1000:
            raise DataError(f"{path}:{number}: neither a file name nor a COCO id")
    return lines


def _images_of_json(text: str, path: Path) -> tuple[str, ...]:
    document = as_mapping(parse_json(text, str(path)), str(path))
    images = []
    for number, value in enumerate(required_list(document, "images", str(path))):
        where = f"{path}: images[{number}]"
        row = as_mapping(value, where)
        images.append(
            required_str(row, "file_name", where) if "file_name" in row else str(required_int(row, "id", where))
        )
    return tuple(images)
