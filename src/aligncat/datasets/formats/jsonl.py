"""JSON lines, for your own data: one JSON object per line in <path>/<split>.jsonl.

    {"image": "photos/1.jpg", "expression": ["the red cup", "cup on the left"], "category": "cup",
     "box": [10, 20, 50, 80], "mask": {"size": [480, 640], "counts": "..."}}

`image` is relative to the file's folder (or to `DataConfig.images`). `expression` is one phrase or a list of phrases
for the same object. `category` is optional; without it, the category is the one that the phrases mention. `box`
([x1, y1, x2, y2] pixels) and `mask` (COCO run lengths or polygons) are optional, and only evaluation reads them.
`width` and `height` of the photo are optional; with them, boxes are read without photos. `aligncat data convert` writes
`id`, `image_id`, `expression_ids` and `kinds` to preserve the values of other formats.

Phrases that mean several objects have lists of them, `boxes` and `masks`. Phrases that mean nothing in the image have
`"no_target": true`, which training reads too.

The dialects of other tools are read as such rows (`aligncat.datasets.formats.dialects`).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.as_written import AsWritten, annotation_details
from aligncat.datasets.formats.bad_rows import BadRows, required_photo, unique_id
from aligncat.datasets.formats.boxes import BoxNumbers, read_box
from aligncat.datasets.formats.canvas import Canvas, image_size
from aligncat.datasets.formats.dialect_rows import ReferentRow, dialect_of_config, own_values, referent_rows
from aligncat.datasets.formats.dialects import ALIGNCAT, DIALECTS, Dialect
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.jsonl_writer import write_jsonl
from aligncat.datasets.formats.layout import likely_image_folder
from aligncat.datasets.formats.line_files import lines_of, parse_line, split_file, split_files
from aligncat.datasets.formats.masks import box_around, joined_truth, read_mask
from aligncat.datasets.formats.plain_lines import PlainRow, PlainRows, has_own_ids, is_photo, simple_row
from aligncat.datasets.formats.referents import Referents, read_sentences
from aligncat.datasets.made import made_phrases
from aligncat.datasets.photos import encoded_size, photo_size
from aligncat.datasets.split import Split
from aligncat.errors import DataError, ImageError, MissingTruthError
from aligncat.files.fields import optional_flag, optional_str, required_id, shorten
from aligncat.types import Truth

_OF_OBJECTS = ("box", "boxes", "mask", "masks")


def read_jsonl_split(config: DataConfig, split: str, options: ReadOptions) -> Split:
    """Read one split; see `load_split`."""
    if dialect_of_config(config) is ALIGNCAT and not config.fields:
        read = _read_plain(config, split, options)
        if read is not None:
            return read
    bad_rows = options.bad_rows(split_file(config, split, dialect_of_config(config)))
    referents = Referents(config, split, bad_rows)
    folder = likely_image_folder(config)
    ids: set[str] = set()
    for each in referent_rows(config, split, bad_rows, options.files, truth=False):
        with bad_rows:
            row, where = each.values, each.where
            name = _photo(row, where, folder, options)
            sentences = read_sentences(row, "expression", "expression_ids", where)
            image_id = name if row.get("image_id") is None else required_id(row, "image_id", where)
            referent_id = _referent_id(row, split, each.number, ids, where)
            category = optional_str(row, "category", where)
            none = _says_no_target(row, where)
            referents.add(referent_id, image_id, name, category, sentences, where, no_target=none)
            ids.add(referent_id)
    return replace(referents.split(check_images=False), made=made_phrases(config.path))


def _read_plain(config: DataConfig, split: str, options: ReadOptions) -> Split | None:
    """Read a split whose rows give no ids into tables; None if a row gives some."""
    path = split_file(config, split, ALIGNCAT)
    bad_rows = options.bad_rows(path)
    folder = likely_image_folder(config)
    rows = PlainRows(split)
    for number, line in lines_of(path, bad_rows):
        row = simple_row(line)
        if row is None or (options.check_images and not is_photo(folder, row.image)):
            row, where = None, f"{path}:{number}"
            with bad_rows:
                values = own_values(parse_line(line, where), config, where)
                if has_own_ids(values):
                    return None
                row = _plain_row(values, where, folder, options)
        if row is not None:
            rows.add(str(number), row)
            if options.places is not None:
                bad_rows.keep_place(f"{split}:{number}", f"{path}:{number}")
    images, expressions = rows.tables(folder)
    bad_rows.report(len(expressions))
    return Split(config.dataset, split, config.split_by, images, expressions, made_phrases(config.path))


def _plain_row(row: Mapping[str, object], where: str, folder: Path, options: ReadOptions) -> PlainRow:
    name = _photo(row, where, folder, options)
    texts = [each.text for each in read_sentences(row, "expression", "expression_ids", where)]
    return PlainRow(name, texts, optional_str(row, "category", where), _says_no_target(row, where))


def _photo(row: Mapping[str, object], where: str, folder: Path, options: ReadOptions) -> str:
    """Return the path of a row's photo, relative to the folder of the photos, after checking that it is there."""
    name = required_photo(row, "image", where)
    if options.check_images and not (folder / name).is_file():
        raise ImageError(f"{where}: {folder / name}: no such file; 'image' is relative to {folder}")
    return name


def read_jsonl_truth(config: DataConfig, split: str, options: ReadOptions) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    bad_rows = options.bad_rows(split_file(config, split, dialect_of_config(config)))
    folder = likely_image_folder(config)
    truths: dict[str, Truth] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for each in referent_rows(config, split, bad_rows, options.files, truth=True):
        with bad_rows:
            row, where = each.values, each.where
            referent_id = _referent_id(row, split, each.number, truths, where)
            canvas = Canvas(*_size(each, folder, sizes), where, bad_rows.remark)
            truths[referent_id] = _truth(row, canvas, BoxNumbers.of(config, each.form))
    bad_rows.report(len(truths))
    return truths


def _size(row: ReferentRow, folder: Path, sizes: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Return (width, height) of a row's photo: as the row says, as in the photo that it holds, or as in its file.

    Args:
        row: the row.
        folder: the folder of the photos.
        sizes: the sizes of the files that were read before, by name.
    """
    if row.values.get("width") is not None or row.values.get("height") is not None:
        return image_size(row.values, row.where)
    name = required_photo(row.values, "image", row.where)
    if name not in sizes and row.photo:
        return encoded_size(row.photo, row.where)
    if name not in sizes:
        sizes[name] = photo_size(folder / name, row.where)
    return sizes[name]


def jsonl_splits(config: DataConfig, files: AnnotationFiles) -> tuple[str, ...]:
    """List the splits by the names of the files, "train" first.

    Raises:
        DataError: there is no file, or the name of a split is not valid.
    """
    return tuple(split_files(config, dialect_of_config(config)))


def jsonl_as_written(config: DataConfig, split: str, files: AnnotationFiles) -> dict[str, AsWritten]:
    """Read each referent's mask as drawn, by referent id.

    Raises:
        DataError: a line does not follow the format.
    """
    found: dict[str, AsWritten] = {}
    bad_rows = BadRows(config.path, skip=True)  # the reader of expressions refuses them
    for each in referent_rows(config, split, bad_rows, files, truth=True):
        with bad_rows:
            details = annotation_details({"segmentation": each.values.get("mask")})
            found[_referent_id(each.values, split, each.number, found, each.where)] = AsWritten(annotation=details)
    return found


def _referent_id(row: Mapping[str, object], split: str, number: str, seen: Container[str], where: str) -> str:
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


def _format(dialect: Dialect) -> Format:
    return Format(
        read_split=read_jsonl_split,
        read_truth=read_jsonl_truth,
        split_names=jsonl_splits,
        as_written=jsonl_as_written,
        write=write_jsonl if dialect is ALIGNCAT else None,
        boxes=dialect.boxes,
        dialect=dialect,
        images_beside_files=True,
    )


JSONL = _format(ALIGNCAT)
SHIKRA = _format(DIALECTS["shikra"])
QWEN = _format(DIALECTS["qwen"])
VLM_R1 = _format(DIALECTS["vlm-r1"])
MS_SWIFT = _format(DIALECTS["ms-swift"])
LLAVA = _format(DIALECTS["llava"])
MDETR = _format(DIALECTS["mdetr"])
OFA = _format(DIALECTS["ofa"])
