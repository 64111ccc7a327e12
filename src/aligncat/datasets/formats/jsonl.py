"""JSON lines, for your own data: one JSON object per line in <path>/<split>.jsonl.

    {"image": "photos/1.jpg", "expression": ["the red cup", "cup on the left"], "category": "cup",
     "box": [10, 20, 50, 80], "mask": {"size": [480, 640], "counts": "..."}}

`image` is relative to the file's folder (or to `DataConfig.images`). `expression` is one phrase or a list of phrases
for the same object. `category` is optional; without it, the category is the one that the phrases mention. `box`
([x1, y1, x2, y2] pixels) and `mask` (COCO run lengths or polygons) are optional, and only evaluation reads them.
`aligncat data convert` writes `id`, `image_id`, `expression_ids` and `kinds` to preserve the values of other formats.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Source
from aligncat.datasets.convert.writing import drawn_mask, number_or_text, recorded_kinds, tracked_referents
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.as_written import AsWritten, annotation_details
from aligncat.datasets.formats.bad_rows import check_split_name, required_photo, unique_id
from aligncat.datasets.formats.boxes import BoxNumbers, read_box
from aligncat.datasets.formats.canvas import Canvas
from aligncat.datasets.formats.dialects import dialect_of
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.layout import existing_file, hint, likely_image_folder
from aligncat.datasets.formats.masks import box_around, read_mask
from aligncat.datasets.formats.referents import Referents, read_sentences
from aligncat.datasets.made import made_phrases
from aligncat.datasets.photos import photo_size
from aligncat.datasets.split import Split
from aligncat.errors import DataError, ImageError, MissingTruthError
from aligncat.files.documents import parse_json
from aligncat.files.fields import as_mapping, optional_str, required_id
from aligncat.types import Truth

_KEYS = ("image", "expression", "category", "box", "mask", "id", "image_id", "expression_ids", "kinds")


def read_jsonl_split(config: DataConfig, split: str, options: ReadOptions) -> Split:
    """Read one split; see `load_split`."""
    bad_rows = options.bad_rows(_file(config, split))
    referents = Referents(config, split, bad_rows)
    folder = likely_image_folder(config)
    ids: set[str] = set()
    for number, line in _lines(bad_rows.source):
        with bad_rows:
            where = f"{bad_rows.source}:{number}"
            row = _row(line, where)
            name = required_photo(row, "image", where)
            if options.check_images and not (folder / name).is_file():
                raise ImageError(f"{where}: {folder / name}: no such file; 'image' is relative to {folder}")
            sentences = read_sentences(row, "expression", "expression_ids", where)
            image_id = name if row.get("image_id") is None else required_id(row, "image_id", where)
            referent_id = _referent_id(row, split, number, ids, where)
            referents.add(referent_id, image_id, name, optional_str(row, "category", where), sentences, where)
            ids.add(referent_id)
    return replace(referents.split(check_images=False), made=made_phrases(config.path))


def read_jsonl_truth(config: DataConfig, split: str, options: ReadOptions) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    bad_rows = options.bad_rows(_file(config, split))
    folder = likely_image_folder(config)
    numbers = BoxNumbers.of(config)
    truths: dict[str, Truth] = {}
    for number, line in _lines(bad_rows.source):
        with bad_rows:
            where = f"{bad_rows.source}:{number}"
            row = _row(line, where)
            referent_id = _referent_id(row, split, number, truths, where)
            photo = folder / required_photo(row, "image", where)
            canvas = Canvas(*photo_size(photo, where), where, bad_rows.remark)
            truths[referent_id] = _truth(row, canvas, numbers)
    bad_rows.report(len(truths))
    return truths


def jsonl_splits(config: DataConfig, files: AnnotationFiles) -> tuple[str, ...]:
    """List the splits by the names of the files, "train" first.

    Raises:
        DataError: there is no .jsonl file, or the name of a split is not valid.
    """
    found = (check_split_name(path.stem, str(path)) for path in config.path.glob("*.jsonl"))
    names = sorted(found, key=lambda name: (name != "train", name))
    if not names:
        raise DataError(
            f"{config.path}: no <split>.jsonl file; set `path` to the folder that holds them{hint(config.path)}"
        )
    return tuple(names)


def jsonl_as_written(config: DataConfig, split: str, files: AnnotationFiles) -> dict[str, AsWritten]:
    """Read each referent's mask as drawn, by referent id.

    Raises:
        DataError: a line does not follow the format.
    """
    found: dict[str, AsWritten] = {}
    path = _file(config, split)
    for number, line in _lines(path):
        where = f"{path}:{number}"
        row = _row(line, where)
        written = AsWritten(annotation=annotation_details({"segmentation": row.get("mask")}))
        found[_referent_id(row, split, number, found, where)] = written
    return found


def write_jsonl(source: Source, config: DataConfig, folder: Path) -> None:
    """Write <split>.jsonl, one line per referent."""
    for name in source.splits:
        rows = []
        for referent in tracked_referents(source, name):
            row: dict[str, Any] = {
                "image": referent.photo,
                "expression": [sentence.text for sentence in referent.sentences],
                "id": number_or_text(referent.id),
                "image_id": number_or_text(referent.image_id),
                "expression_ids": [number_or_text(sentence.id) for sentence in referent.sentences],
                **recorded_kinds(referent.sentences),
            }
            if referent.category is not None:
                row["category"] = referent.category
            if referent.truth is not None:
                row["box"] = referent.truth.box.tolist()
                if referent.truth.mask is not None:
                    row["mask"] = drawn_mask(referent, referent.truth.mask)
            rows.append(json.dumps(row, ensure_ascii=False) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")


def _file(config: DataConfig, split: str) -> Path:
    check_split_name(split, f"{config.path}/<split>.jsonl")
    return existing_file(config.path / f"{split}.jsonl", "*.jsonl", "split")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (number from 1, line) for each line that is not blank."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line


def _row(line: bytes, where: str) -> Mapping[str, object]:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 text ({error})") from error
    row = as_mapping(parse_json(text, where, by_row=True), where)
    if unknown := [key for key in row if key not in _KEYS]:
        if dialect := dialect_of(row):
            raise DataError(f"{where}: {dialect.described()}")
        raise DataError(f"{where}: key {unknown[0]!r} is not known; the known ones are {', '.join(_KEYS)}")
    return row


def _referent_id(row: Mapping[str, object], split: str, number: int, seen: Container[str], where: str) -> str:
    referent_id = f"{split}:{number}" if row.get("id") is None else required_id(row, "id", where)
    return unique_id(referent_id, seen, where)


def _truth(row: Mapping[str, object], canvas: Canvas, numbers: BoxNumbers) -> Truth:
    box, mask = row.get("box"), read_mask(row.get("mask"), canvas)
    category = optional_str(row, "category", canvas.where)
    if box is not None:
        return Truth(read_box(box, canvas, numbers), mask, category, canvas.size)
    if mask is not None:
        return Truth(box_around(mask), mask, category, canvas.size)
    raise MissingTruthError(
        f"{canvas.where}: neither 'box' nor 'mask'; evaluation needs at least one of them in every line, and cannot "
        "measure phrases that refer to nothing in the photo"
    )


JSONL = Format(
    read_split=read_jsonl_split,
    read_truth=read_jsonl_truth,
    split_names=jsonl_splits,
    as_written=jsonl_as_written,
    write=write_jsonl,
    boxes="xyxy",
    images_beside_files=True,
)
