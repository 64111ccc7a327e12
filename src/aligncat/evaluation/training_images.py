"""The images that a detector was trained on: named sets, lists in files, and what is known of a detector.

A photo is identified by its COCO id if its file name holds one (COCO_train2014_000000000009.jpg, 000000000009.jpg),
and by its file name otherwise. A photo has the same id in COCO's releases of 2014 and of 2017.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncat.detectors.known import known_detector
from aligncat.detectors.training_record import TRAINED_ON, TrainingRecord
from aligncat.errors import DataError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, parse_json, read_text
from aligncat.files.fields import as_mapping, required_int, required_list, required_str

COCO_FILE = re.compile(r"(?:COCO_(?P<release>(?:train|val)2014|test201[45])_)?(?P<id>\d{12})\.\w+", re.ASCII)
"""A file name of COCO, of 2014 with its release."""
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


def known_training_images(detector: str, dataset: str, *, weights_sha256: str | None = None) -> TrainingImages | None:
    """Return the training images of a detector: those that its folder lists, or those of `KNOWN_DETECTORS`.

    A detector that `aligncat detector train` wrote has also seen the images of the one that its training started from.

    Args:
        detector: the detector's name.
        dataset: the name of the dataset that it is evaluated on.
        weights_sha256: the hash of its weights, if known. A folder that has been trained anew does not count, and a
            copy of a shipped detector is known by it.

    Returns:
        The training images, or None if neither tells whether they include photos of the dataset.
    """
    record = TrainingRecord.read(detector, weights_sha256=weights_sha256)
    if record is not None:
        return _recorded(detector, record)
    known = known_detector(detector, weights_sha256)
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


def without(listed: Iterable[str], photos: Iterable[str]) -> list[str]:
    """Return the listed images that are not among the photos, in the order of the list.

    Args:
        listed: file names or COCO ids.
        photos: the file names of the photos to leave out.
    """
    removed = {_key(photo) for photo in photos}
    return [image for image in listed if _key(image) not in removed]


def _in_train2014(photo: str) -> bool | None:
    matched = COCO_FILE.fullmatch(photo)
    release = matched and matched["release"]
    return None if release is None else release == "train2014"


def _in_train2017(photo: str) -> bool | None:
    """Tell whether a photo is in train2017; None if its name does not tell.

    train2017 is train2014 and val2014 without the 5,000 photos of val2017 (82,783 + 40,504 - 5,000 = 118,287).
    """
    matched = COCO_FILE.fullmatch(photo)
    release = matched and matched["release"]
    return None if release in (None, "val2014") else release == "train2014"


NAMED: dict[str, Callable[[str], bool | None]] = {"coco-train2014": _in_train2014, "coco-train2017": _in_train2017}
"""Named sets of images. Each function maps a photo's file name to whether the set holds it, or None if unknown."""


def _key(image: str) -> int | str:
    """Return an image's COCO id, or its file name if it has no id."""
    name = image.replace("\\", "/").rsplit("/", 1)[-1]
    if _COCO_ID.fullmatch(name):
        return int(name)
    matched = COCO_FILE.fullmatch(name)
    return int(matched["id"]) if matched else name


def _membership(listed: tuple[str, ...]) -> Callable[[str], bool | None]:
    """Return a function that tells whether a photo is on a list.

    It returns None if the list holds no name of the photo's kind (COCO id or other file name), since names of different
    kinds cannot be compared.
    """
    keys = {_key(image) for image in listed}
    kinds = {type(key) for key in keys}

    def holds(photo: str) -> bool | None:
        key = _key(photo) if COCO_FILE.fullmatch(photo) else photo
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
