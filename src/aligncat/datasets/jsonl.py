"""Read data of your own: one JSON object a line in <path>/<split>.jsonl.

    {"image": "photos/1.jpg", "expression": ["the red cup", "cup on the left"], "category": "cup",
     "box": [10, 20, 50, 80], "mask": {"size": [480, 640], "counts": "..."}}

`image` is relative to the file's folder (or to `DataConfig.images`), `expression` is one phrase or a list of
phrases for the same object, `category` is optional: where it is missing, the one that the phrases name is taken.
`box` ([x1, y1, x2, y2] pixels) and `mask` (COCO run lengths or polygons) are optional and only evaluation reads them.
"""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from PIL import Image

from aligncat.datasets.config import DataConfig
from aligncat.datasets.layout import jsonl_file
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.rows import (
    BadRows,
    as_mapping,
    expression_text,
    optional_str,
    parse_json,
    required,
    required_str,
)
from aligncat.datasets.split import Split
from aligncat.datasets.truth import Canvas, box_around, read_box, read_mask
from aligncat.errors import DataError, ImageError
from aligncat.types import Expression, ImageRecord, Truth

_KEYS = ("image", "expression", "category", "box", "mask")
_EXIF_ORIENTATION = 0x0112
# What Pillow is known to raise at a damaged header or EXIF block.
_HEADER_ERRORS = (OSError, Image.DecompressionBombError, ValueError, SyntaxError, TypeError, struct.error)
_FIRST_SIDEWAYS_ORIENTATION = 5


def load_jsonl_split(config: DataConfig, split: str, *, skip_bad_rows: bool, check_images: bool) -> Split:
    """Read one split; see `load_split`."""
    bad_rows = BadRows(jsonl_file(config, split), skip=skip_bad_rows)
    expressions: list[Expression] = []
    images: dict[str, ImageRecord] = {}
    lexicon = Lexicon.load(config.lexicon)
    for number, line in _lines(bad_rows.source):
        with bad_rows:
            where = f"{bad_rows.source}:{number}"
            row = _row(line, where)
            record = _image(config, row, where)
            if check_images and record.id not in images and not record.path.is_file():
                raise ImageError(f"{where}: {record.path}: no such file; `image` is relative to {_root(config)}")
            given = optional_str(row, "category", where)
            texts = _texts(required(row, "expression", where), where)
            category = given or lexicon.category_of_all(texts)
            derived = given is None and category is not None
            images[record.id] = record
            expressions += (
                Expression(f"{split}:{number}:{index}", f"{split}:{number}", record.id, text, category, derived=derived)
                for index, text in enumerate(texts)
            )
    bad_rows.report(len(expressions))
    categories = sorted({expression.category for expression in expressions if expression.category is not None})
    return Split(config.dataset, split, None, images, tuple(expressions), tuple(categories))


def load_jsonl_truth(config: DataConfig, split: str, *, skip_bad_rows: bool) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    bad_rows = BadRows(jsonl_file(config, split), skip=skip_bad_rows)
    truths: dict[str, Truth] = {}
    for number, line in _lines(bad_rows.source):
        with bad_rows:
            where = f"{bad_rows.source}:{number}"
            row = _row(line, where)
            truths[f"{split}:{number}"] = _truth(row, _image(config, row, where), where)
    bad_rows.report(len(truths))
    return truths


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def _row(line: bytes, where: str) -> Mapping[str, object]:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text ({error})") from error
    row = as_mapping(parse_json(text, where), where)
    for key in row:
        if key not in _KEYS:
            raise DataError(f"{where}: key {key!r} is not known; a line may have {', '.join(_KEYS)}")
    return row


def _root(config: DataConfig) -> Path:
    return config.images or config.path


def _image(config: DataConfig, row: Mapping[str, object], where: str) -> ImageRecord:
    """The image of a row; two spellings of one path are one image."""
    name = required_str(row, "image", where)
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
        raise DataError(f"{where}: 'image' {name!r} must be relative to {_root(config)}, so that the data can be moved")
    name = posixpath.normpath(name)
    return ImageRecord(name, _root(config) / name)


def _texts(value: object, where: str) -> list[str]:
    if not isinstance(value, list):
        return [expression_text(value, where)]
    if not value:
        raise DataError(f"{where}: 'expression' is an empty list; write a phrase, or remove the line")
    return [expression_text(text, where) for text in value]


def _truth(row: Mapping[str, object], image: ImageRecord, where: str) -> Truth:
    box, mask = row.get("box"), row.get("mask")
    canvas = Canvas(*_image_size(image.path, where), where)
    rle = None if mask is None else read_mask(mask, canvas)
    category = optional_str(row, "category", where)
    if box is not None:
        return Truth(read_box(box, canvas, corners=True), rle, category)
    if rle is not None:
        return Truth(box_around(rle), rle, category)
    raise DataError(f"{where}: neither 'box' nor 'mask', without which the line cannot be evaluated")


def _image_size(path: Path, where: str) -> tuple[int, int]:
    """(width, height) as the image is shown, from its header; a camera held sideways says so in EXIF."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(_EXIF_ORIENTATION, 1) >= _FIRST_SIDEWAYS_ORIENTATION
    except _HEADER_ERRORS as error:
        raise ImageError(f"{where}: {path}: cannot be read as an image ({error})") from error
    return (height, width) if sideways else (width, height)
