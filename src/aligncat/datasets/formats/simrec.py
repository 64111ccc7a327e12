"""Read SimREC's JSON, which RefCLIP and QueryMatch read too: <path>/anns/<dataset>.json.

    {"train": [{"iid": 98304, "bbox": [x, y, width, height], "cat_id": 0, "refs": ["red cup"], "mask_id": 7}]}

The layout is that of github.com/luogen1996/SimREC. A training row is a referent; in the other splits a row is a
sentence, and `mask_id` says which rows speak of the same object: it is REFER's ref_id. `cat_id` is contiguous in
COCO's 80 categories. The mask is `<path>/masks/<dataset>/<mask_id>.npy`, not zero where the object is. SimREC's
own readers take a photo's name from `iid`; ours, and theirs without harm, allow more keys, see docs/formats.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.boxes_and_masks import Canvas, read_box
from aligncat.datasets.formats.layout import likely_image_folder, simrec_file
from aligncat.datasets.formats.read_once import read_once
from aligncat.datasets.formats.referents import Referents, read_sentences
from aligncat.datasets.photos import photo_size
from aligncat.datasets.rows import (
    BadRows,
    as_mapping,
    check_split_name,
    optional_str,
    parse_json,
    read_text,
    required,
    required_id,
    required_int,
    required_list,
    required_photo,
)
from aligncat.datasets.split import Split
from aligncat.errors import DataError, MissingTruthError
from aligncat.geometry import MAX_PIXELS, encode_mask
from aligncat.types import RLE, Truth

_COCO_PHOTO = "COCO_train2014_{:012d}.jpg"


def load_simrec_split(config: DataConfig, split: str, *, skip_bad_rows: bool, check_images: bool) -> Split:
    """Read one split; see `load_split`."""
    bad_rows = BadRows(simrec_file(config), skip=skip_bad_rows)
    referents = Referents(config, split, bad_rows)
    for where, number, value in _rows(config, split):
        with bad_rows:
            row = as_mapping(value, where)
            sentences = read_sentences(row, "refs", "sent_ids", where)
            photo = photo_name(row, config.dataset, where)
            referents.add(
                _referent_id(row, split, number, where),
                required_id(row, "iid", where),
                photo,
                _category(row, where),
                sentences,
                where,
            )
    return referents.split(check_images=check_images)


def load_simrec_truth(config: DataConfig, split: str, *, skip_bad_rows: bool) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    bad_rows = BadRows(simrec_file(config), skip=skip_bad_rows)
    folder = likely_image_folder(config)
    masks = config.path / "masks" / config.dataset
    truths: dict[str, Truth] = {}
    boxes: dict[str, object] = {}
    for where, number, value in _rows(config, split):
        with bad_rows:
            row = as_mapping(value, where)
            referent_id = _referent_id(row, split, number, where)
            if referent_id in boxes:
                if row.get("bbox") != boxes[referent_id]:
                    raise DataError(f"{where}: referent {referent_id} had another 'bbox' in an earlier row")
                continue
            boxes[referent_id] = row.get("bbox")
            photo = folder / photo_name(row, config.dataset, where)
            truths[referent_id] = _truth(row, photo, masks, where)
    bad_rows.report(len(truths))
    return truths


def simrec_splits(config: DataConfig) -> tuple[str, ...]:
    """The names of the splits that the file has, "train" first.

    Raises:
        DataError: when the file is missing or not as the format asks.
    """
    return tuple(sorted(_document(config), key=lambda name: name != "train"))


def photo_name(row: Mapping[str, object], dataset: str, where: str) -> str:
    """The file of a row's photo: what it says, or else what SimREC makes of the image's number.

    Raises:
        DataError: it says nothing and the image has no number, or it names a file outside the folder of the photos.
    """
    if row.get("file_name") is not None:
        return required_photo(row, "file_name", where)
    if isinstance(row.get("iid"), str):
        raise DataError(f"{where}: 'iid' is no number, which would name the photo; add 'file_name'")
    number = required_int(row, "iid", where)
    return f"{number}.jpg" if dataset == "refclef" else _COCO_PHOTO.format(number)


def _document(config: DataConfig) -> Mapping[str, object]:
    path = simrec_file(config)
    document = as_mapping(read_once("rows", path, lambda: parse_json(read_text(path), str(path))), str(path))
    for name in document:
        check_split_name(name, str(path))
    return document


def _rows(config: DataConfig, split: str) -> Iterator[tuple[str, int, object]]:
    """(file and row for messages, number from 0, row) of a split."""
    path = simrec_file(config)
    document = _document(config)
    if split not in document:
        raise DataError(f"{path}: no split {split!r}; it has {', '.join(document) or 'none'}")
    for number, row in enumerate(required_list(document, split, str(path))):
        yield f"{path}: {split}[{number}]", number, row


def _referent_id(row: Mapping[str, object], split: str, number: int, where: str) -> str:
    for key in ("ref_id", "mask_id"):
        if row.get(key) is not None:
            return required_id(row, key, where)
    return f"{split}:{number}"


def _category(row: Mapping[str, object], where: str) -> str | None:
    if given := optional_str(row, "category", where):
        return given
    if row.get("cat_id") is None:
        return None
    number = required_int(row, "cat_id", where)
    if not 0 <= number < len(COCO_NAMES):
        raise DataError(
            f"{where}: 'cat_id' {number} is none of COCO's {len(COCO_NAMES)} categories, counted from 0; leave it "
            "out and write the name under 'category'"
        )
    return COCO_NAMES[number]


def _truth(row: Mapping[str, object], photo: Path, masks: Path, where: str) -> Truth:
    if row.get("bbox") is None:
        raise MissingTruthError(f"{where}: no 'bbox', without which the row cannot be evaluated")
    mask = _mask(row, masks, where)
    # RefCOCO is evaluated without its photos, from a store and these files: the mask has the image's size too.
    if mask is not None and not photo.is_file():
        height, width = mask["size"]
    else:
        width, height = photo_size(photo, where)
    canvas = Canvas(width, height, where)
    if mask is not None and mask["size"] != [height, width]:
        raise DataError(
            f"{where}: the mask's size is {mask['size']}, but its image's [height, width] is {[height, width]}"
        )
    return Truth(read_box(required(row, "bbox", where), canvas, corners=False), mask, _category(row, where))


def _mask(row: Mapping[str, object], masks: Path, where: str) -> RLE | None:
    """The row's mask; None where it names none, or nobody made the masks, as SimREC's script may leave them out."""
    if row.get("mask_id") is None or not masks.is_dir():
        return None
    path = masks / f"{required_int(row, 'mask_id', where)}.npy"
    try:
        # Mapped and not read: a header that claims more than the file holds is an error, and asks for no memory.
        pixels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, OverflowError) as error:
        raise DataError(f"{where}: {path}: cannot be read as an array ({error}); make it again") from error
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.dtype.kind not in "biuf":
        raise DataError(f"{where}: {path}: must be an array of numbers, one a pixel (height, width)")
    if pixels.size > MAX_PIXELS:
        raise DataError(
            f"{where}: {path}: {pixels.size:,} pixels are more than the limit of {MAX_PIXELS:,}; make it again"
        )
    if not pixels.any():
        raise DataError(f"{where}: {path}: the mask covers no pixel of its image")
    return encode_mask(pixels != 0)
