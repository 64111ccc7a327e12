"""JSON lines, for your own data: one JSON object per line in <path>/<split>.jsonl.

    {"image": "photos/1.jpg", "expression": ["the red cup", "cup on the left"], "category": "cup",
     "box": [10, 20, 50, 80], "mask": {"size": [480, 640], "counts": "..."}}

`image` is relative to the file's folder (or to `DataConfig.images`). `expression` is one phrase or a list of phrases
for the same object. `category` is optional; without it, the category is the one that the phrases mention. `box`
([x1, y1, x2, y2] pixels) and `mask` (COCO run lengths or polygons) are optional, and only evaluation reads them.
`aligncat data convert` writes `id`, `image_id`, `expression_ids` and `kinds` to preserve the values of other formats.

Phrases that mean several objects have lists of them, `boxes` and `masks`. Phrases that mean nothing in the image have
`"no_target": true`, which training reads too.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Referent, Source
from aligncat.datasets.convert.writing import drawn_mask, number_or_text, plain_mask, recorded_kinds, tracked_referents
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.as_written import AsWritten, annotation_details
from aligncat.datasets.formats.bad_rows import check_split_name, required_photo, unique_id
from aligncat.datasets.formats.boxes import BoxNumbers, read_box
from aligncat.datasets.formats.canvas import Canvas
from aligncat.datasets.formats.dialects import dialect_of
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.layout import existing_file, hint, likely_image_folder
from aligncat.datasets.formats.masks import box_around, joined_truth, read_mask
from aligncat.datasets.formats.referents import Referents, read_sentences
from aligncat.datasets.made import made_phrases
from aligncat.datasets.photos import photo_size
from aligncat.datasets.split import Split
from aligncat.errors import DataError, ImageError, MissingTruthError
from aligncat.files.documents import parse_json
from aligncat.files.fields import as_mapping, optional_flag, optional_str, required_id, shorten
from aligncat.types import Truth

_KEYS = (
    *("image", "expression", "category", "box", "mask", "boxes", "masks", "no_target"),
    *("id", "image_id", "expression_ids", "kinds"),
)
_OF_OBJECTS = ("box", "boxes", "mask", "masks")


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
            category = optional_str(row, "category", where)
            none = _says_no_target(row, where)
            referents.add(referent_id, image_id, name, category, sentences, where, no_target=none)
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
                **_written_objects(referent),
            }
            if referent.category is not None:
                row["category"] = referent.category
            rows.append(json.dumps(row, ensure_ascii=False) + "\n")
        (folder / f"{name}.jsonl").write_text("".join(rows), encoding="utf-8")


def _written_objects(referent: Referent) -> dict[str, Any]:
    """Return the keys that say what a referent's sentences mean: one object, none or several."""
    truth = referent.truth
    if referent.sentences[0].no_target:
        return {"no_target": True}
    if truth is None:
        return {}
    if len(truth) == 1:
        one: dict[str, Any] = {"box": truth.box.tolist()}
        return one if truth.mask is None else {**one, "mask": drawn_mask(referent, truth.mask)}
    several: dict[str, Any] = {"boxes": truth.boxes.tolist()}
    return several if truth.masks is None else {**several, "masks": [plain_mask(mask) for mask in truth.masks]}


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


def _says_no_target(row: Mapping[str, object], where: str) -> bool:
    """Return whether a row says that the image shows nothing that its phrases mean.

    It says so with "no_target", or else with an empty list of boxes, or with a "box" of null where no other key of the
    objects is written. Training asks this, but it reads no box and does not learn how many there are.
    """
    given = [key for key in _OF_OBJECTS if row.get(key) not in (None, [], "")]
    if row.get("no_target") is not None:
        none = optional_flag(row, "no_target", where)
        if none and given:
            raise DataError(f"{where}: 'no_target' is true, but the row has {given[0]!r}; remove one of them")
        return none
    if [] in (row.get("box"), row.get("boxes")):
        return not given
    return [key for key in _OF_OBJECTS if key in row] == ["box"] and row["box"] is None


def _truth(row: Mapping[str, object], canvas: Canvas, numbers: BoxNumbers) -> Truth:
    category = optional_str(row, "category", canvas.where)
    if _says_no_target(row, canvas.where):
        return joined_truth([], category, canvas.size)
    boxes, masks = _objects(row, "box", canvas), _objects(row, "mask", canvas)
    if not boxes and not masks:
        raise MissingTruthError(
            f"{canvas.where}: neither 'box' nor 'mask'; evaluation needs at least one of them in every line, or "
            "'no_target': true if the image shows nothing that the phrase means"
        )
    if boxes and masks and len(boxes) != len(masks):
        raise DataError(
            f"{canvas.where}: {len(boxes)} boxes and {len(masks)} masks; give one of each for every object, or no masks"
        )
    read = [read_mask(mask, canvas) for mask in masks or [None] * len(boxes)]
    objects = []
    for number, mask in enumerate(read):
        if boxes:
            objects.append((read_box(boxes[number], canvas, numbers), mask))
        elif mask is not None:
            objects.append((box_around(mask), mask))
        else:
            raise DataError(f"{canvas.where}: masks[{number}] is empty and has no box; remove it, or give 'boxes'")
    return joined_truth(objects, category, canvas.size)


def _objects(row: Mapping[str, object], key: Literal["box", "mask"], canvas: Canvas) -> list[object]:
    """Return the boxes or the masks of a row's objects, as they are written.

    A box may also be a list of boxes, because other tools write several objects like that.
    """
    plural = {"box": "boxes", "mask": "masks"}[key]
    one, several = row.get(key), row.get(plural)
    if several is None:
        if key == "box" and isinstance(one, list) and all(isinstance(part, list) for part in one):
            return one
        return [] if one in (None, [], "") else [one]
    if one is not None:
        raise DataError(f"{canvas.where}: both {key!r} and {plural!r}; give one of the two")
    if not isinstance(several, list):
        raise DataError(f"{canvas.where}: {plural!r} must be a list, not {shorten(several)}")
    return several


JSONL = Format(
    read_split=read_jsonl_split,
    read_truth=read_jsonl_truth,
    split_names=jsonl_splits,
    as_written=jsonl_as_written,
    write=write_jsonl,
    boxes="xyxy",
    images_beside_files=True,
)
