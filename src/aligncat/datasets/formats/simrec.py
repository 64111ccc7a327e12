"""SimREC's JSON, which RefCLIP and QueryMatch also read: <path>/anns/<dataset>.json.

    {"train": [{"iid": 98304, "bbox": [x, y, width, height], "cat_id": 0, "refs": ["red cup"], "mask_id": 7}]}

The layout is that of github.com/luogen1996/SimREC. In the training split, a row is a referent with all its
sentences. In the other splits, a row is one sentence, and rows with the same `mask_id` (REFER's ref_id) belong to one
referent. `cat_id` is an
index from 0 into COCO's 80 categories. The mask is `<path>/masks/<dataset>/<mask_id>.npy`, nonzero on the object.
SimREC's own readers derive a photo's name from `iid`. This reader knows further keys, which SimREC's readers ignore;
see docs/formats.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tokenize import TokenError

import numpy as np

from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows, check_split_name, required_photo
from aligncat.datasets.formats.boxes import XYWH, read_box
from aligncat.datasets.formats.canvas import Canvas
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.layout import existing_file, likely_image_folder
from aligncat.datasets.formats.referents import Referents, read_sentences
from aligncat.datasets.formats.simrec_writer import write_simrec
from aligncat.datasets.known import known_dataset
from aligncat.datasets.photos import photo_size
from aligncat.datasets.split import Split
from aligncat.errors import DataError, MissingTruthError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, read_json
from aligncat.files.fields import (
    as_mapping,
    optional_str,
    required,
    required_id,
    required_int,
    required_list,
)
from aligncat.geometry import MAX_PIXELS, encode_mask
from aligncat.types import RLE, Truth

_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    ArithmeticError,
    TypeError,
    SyntaxError,
    TokenError,
    RecursionError,
    MemoryError,
)
"""What numpy raises for damaged bytes."""


def read_simrec_split(config: DataConfig, split: str, options: ReadOptions) -> Split:
    """Read one split; see `load_split`."""
    bad_rows = options.bad_rows(_file(config))
    referents = Referents(config, split, bad_rows)
    for where, number, value in _rows(config, split, options.files):
        with bad_rows:
            row = as_mapping(value, where)
            sentences = read_sentences(row, "refs", "sent_ids", where)
            photo = _photo_name(row, config.dataset, where)
            referents.add(
                _referent_id(row, split, number, where),
                required_id(row, "iid", where),
                photo,
                _category(row, where),
                sentences,
                where,
            )
    return referents.split(check_images=options.check_images)


def read_simrec_truth(config: DataConfig, split: str, options: ReadOptions) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    bad_rows = options.bad_rows(_file(config))
    folder = likely_image_folder(config)
    masks = config.path / "masks" / config.dataset
    truths: dict[str, Truth] = {}
    boxes: dict[str, object] = {}
    for where, number, value in _rows(config, split, options.files):
        with bad_rows:
            row = as_mapping(value, where)
            referent_id = _referent_id(row, split, number, where)
            if referent_id in boxes:
                if row.get("bbox") != boxes[referent_id]:
                    raise DataError(f"{where}: referent {referent_id} has another 'bbox' in an earlier row")
                continue
            boxes[referent_id] = row.get("bbox")
            photo = folder / _photo_name(row, config.dataset, where)
            truths[referent_id] = _truth(row, photo, masks, where, bad_rows)
    bad_rows.report(len(truths))
    return truths


def simrec_splits(config: DataConfig, files: AnnotationFiles) -> tuple[str, ...]:
    """List the splits of the file, "train" first.

    Raises:
        DataError: the file is missing or does not follow the format.
    """
    return tuple(sorted(_document(config, files), key=lambda name: name != "train"))


def _photo_name(row: Mapping[str, object], dataset: str, where: str) -> str:
    """Return the file of a row's photo: the row's `file_name`, or the name that SimREC derives from the image's number.

    Raises:
        DataError: the name is not valid, or the row has neither a file name nor a number.
    """
    if row.get("file_name") is not None:
        return required_photo(row, "file_name", where)
    if isinstance(row.get("iid"), str):
        raise DataError(f"{where}: 'iid' is not a number, so it does not give the photo's name; add 'file_name'")
    number = required_int(row, "iid", where)
    return known_dataset(dataset).photo_name.format(number)


def _file(config: DataConfig) -> Path:
    return existing_file(config.path / "anns" / f"{config.dataset}.json", "*.json", "dataset")


def _parse(path: Path) -> Mapping[str, object]:
    return as_mapping(read_json(path, limit=MAX_ANNOTATION_BYTES, by_row=True), str(path))


def _document(config: DataConfig, files: AnnotationFiles) -> Mapping[str, object]:
    path = _file(config)
    document = files.read(_parse, path)
    for name in document:
        check_split_name(name, str(path))
    return document


def _rows(config: DataConfig, split: str, files: AnnotationFiles) -> Iterator[tuple[str, int, object]]:
    """Yield (file and row for messages, number from 0, row) for each row of a split."""
    path = _file(config)
    document = _document(config, files)
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
            f"{where}: 'cat_id' is {number}, but COCO's categories are counted from 0 to {len(COCO_NAMES) - 1}; for "
            "another category, leave it out and write the name under 'category'"
        )
    return COCO_NAMES[number]


def _truth(row: Mapping[str, object], photo: Path, masks: Path, where: str, bad_rows: BadRows) -> Truth:
    if row.get("bbox") is None:
        raise MissingTruthError(f"{where}: no 'bbox'; evaluation needs one in every row")
    mask = _mask(row, masks, where)
    # A mask also gives the image's size. So RefCOCO can be evaluated without its photos, if there is a store.
    if mask is not None and not photo.is_file():
        height, width = mask["size"]
    else:
        width, height = photo_size(photo, where)
    canvas = Canvas(width, height, where, bad_rows.remark)
    if mask is not None and mask["size"] != [height, width]:
        raise DataError(
            f"{where}: the mask's size is {mask['size']}, but its image's [height, width] is {[height, width]}"
        )
    box = read_box(required(row, "bbox", where), canvas, XYWH)
    return Truth.of_one(box, mask, _category(row, where), canvas.size)


def _mask(row: Mapping[str, object], masks: Path, where: str) -> RLE | None:
    """Return the row's mask, or None if the row names none or there is no folder of masks.

    SimREC's script has an option to write no masks.
    """
    if row.get("mask_id") is None or not masks.is_dir():
        return None
    path = masks / f"{required_int(row, 'mask_id', where)}.npy"
    try:
        # Memory mapping takes no memory for a header that claims more than the file holds, and raises an error. Unlike
        # np.load, this function reads neither zip files nor pickles.
        pixels = np.lib.format.open_memmap(path, mode="r")
    except _DAMAGED as error:
        raise DataError(f"{where}: {path}: cannot be read as an array ({error}); create it again") from error
    if pixels.ndim != 2 or pixels.dtype.kind not in "biuf":
        raise DataError(f"{where}: {path}: must be an array of numbers, one for each pixel (height, width)")
    if pixels.size > MAX_PIXELS:
        raise DataError(
            f"{where}: {path}: {pixels.size:,} pixels are more than the limit of {MAX_PIXELS:,}; create it again"
        )
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise DataError(f"{where}: {path}: contains numbers that are not finite; create it again")
    if not pixels.any():
        raise DataError(f"{where}: {path}: the mask covers no pixel of its image")
    return encode_mask(pixels != 0)


SIMREC = Format(
    read_split=read_simrec_split,
    read_truth=read_simrec_truth,
    split_names=simrec_splits,
    write=write_simrec,
)
