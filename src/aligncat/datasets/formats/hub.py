"""Parquet files of RefCOCO, RefCOCO+ and RefCOCOg from the Hugging Face hub: <path>/*.parquet or <path>/data/*.parquet.

The files must be on disk already. Two layouts are recognised by their columns:

- jxu124's (jxu124/refcoco, refcocoplus, refcocog) has all keys of REFER's rows. `split` is the row's split, `bbox` is
  [x1, y1, x2, y2], `raw_anns` and `raw_image_info` are COCO's rows as JSON text, and `image_path` ends in the photo's
  name.
- lmms-lab's (lmms-lab/RefCOCO, RefCOCOplus, RefCOCOg) has the phrases in `answer`. `file_name` is that of REFER's row
  and contains the photo's name, `bbox` is [x, y, width, height], and `segmentation` is one polygon. The split is the
  beginning of the Parquet file's name. There are no categories and no training split, and two divisions of the data
  are mixed.

The photos are COCO's train2014, in a folder. Images inside the Parquet files are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from aligncat.datasets.categories import COCO_CATEGORIES
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.as_written import AsWritten, annotation_details, sentence_details
from aligncat.datasets.formats.bad_rows import BadRows, check_split_name, photo_path, required_photo
from aligncat.datasets.formats.boxes import XYWH, XYXY, read_box
from aligncat.datasets.formats.canvas import Canvas, image_size
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.layout import folder_contents, likely_image_folder
from aligncat.datasets.formats.masks import read_mask
from aligncat.datasets.formats.referents import Referents, read_sentence, read_sentences
from aligncat.datasets.photos import photo_size
from aligncat.datasets.split import Split
from aligncat.errors import DataError, MissingTruthError
from aligncat.files.documents import parse_json
from aligncat.files.fields import (
    as_mapping,
    required,
    required_id,
    required_int,
    required_list,
    required_str,
)
from aligncat.files.parquet import read_batches, read_schema
from aligncat.types import Truth

# The columns to read: _REFER_* in jxu124's layout, _ANSWER_* in lmms-lab's.
_REFER_COLUMNS = ("ref_id", "image_id", "category_id", "split", "sentences", "image_path")
_REFER_TRUTH = ("ref_id", "category_id", "split", "bbox", "raw_anns", "raw_image_info")
_REFER_AS_WRITTEN = ("ref_id", "split", "sentences", "raw_anns")
_ANSWER_COLUMNS = ("answer", "file_name")
_ANSWER_TRUTH = ("file_name", "bbox", "segmentation")
_ANSWER_AS_WRITTEN = ("segmentation",)
# REFER's file names are COCO's with the object's number appended.
_REFERS_PHOTO = re.compile(r"(COCO_\w+?_(\d{12}))(?:_\d+)?(\.\w+)")


def read_hub_split(config: DataConfig, split: str, options: ReadOptions) -> Split:
    """Read one split; see `load_split`."""
    bad_rows = options.bad_rows(config.path)
    referents = Referents(config, split, bad_rows)
    for where, number, row in _rows(config, split, _REFER_COLUMNS, _ANSWER_COLUMNS):
        with bad_rows:
            if "answer" in row:
                image_id, photo = _photo(row, where)
                sentences = read_sentences(row, "answer", "", where)
                referents.add(f"{split}:{number}", image_id, photo, None, sentences, where)
                continue
            listed = [as_mapping(part, where) for part in required_list(row, "sentences", where)]
            if not listed:
                raise DataError(f"{where}: 'sentences' is empty")
            referents.add(
                required_id(row, "ref_id", where),
                required_id(row, "image_id", where),
                photo_path(PurePosixPath(required_str(row, "image_path", where)).name, "image_path", where),
                _category(row, where),
                [
                    read_sentence(required(part, "sent", where), required_id(part, "sent_id", where), part, where)
                    for part in listed
                ],
                where,
            )
    return referents.split(check_images=options.check_images)


def read_hub_truth(config: DataConfig, split: str, options: ReadOptions) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    bad_rows = options.bad_rows(config.path)
    folder = likely_image_folder(config)
    truths: dict[str, Truth] = {}
    for where, number, row in _rows(config, split, _REFER_TRUTH, _ANSWER_TRUTH):
        with bad_rows:
            if row.get("bbox") is None:
                raise MissingTruthError(f"{where}: no 'bbox'; evaluation needs one in every row")
            if "raw_anns" in row:
                truths[required_id(row, "ref_id", where)] = _truth_of_refers_row(row, where, bad_rows)
            else:
                truths[f"{split}:{number}"] = _truth_of_answers_row(row, folder, where, bad_rows)
    bad_rows.report(len(truths))
    return truths


def hub_as_written(config: DataConfig, split: str, files: AnnotationFiles) -> dict[str, AsWritten]:
    """Read the details that only conversions use, by referent id.

    Rows that do not follow the format are left out, since the readers of expressions and truth refuse them.
    """
    found: dict[str, AsWritten] = {}
    bad_rows = BadRows(config.path, skip=True)
    for where, number, row in _rows(config, split, _REFER_AS_WRITTEN, _ANSWER_AS_WRITTEN):
        with bad_rows:
            if "raw_anns" in row:
                annotation = {} if row["raw_anns"] is None else _json(row, "raw_anns", where)
                found[required_id(row, "ref_id", where)] = AsWritten(
                    annotation_id=None if annotation.get("id") is None else required_id(annotation, "id", where),
                    annotation=annotation_details(annotation),
                    sentences=sentence_details(row, where),
                )
            elif polygon := row["segmentation"]:
                found[f"{split}:{number}"] = AsWritten(annotation={"segmentation": [polygon]})
    return found


def hub_splits(config: DataConfig, files: AnnotationFiles) -> tuple[str, ...]:
    """List the splits of the files, "train" first.

    Raises:
        DataError: a file cannot be read or has neither layout, or the name of a split is not valid.
    """
    return _splits(config)


def _splits(config: DataConfig) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for path in _parquet_files(config):
        if "split" in read_schema(path).names:
            names |= dict.fromkeys(
                _split_of(row, _place(path, number)) for number, row in enumerate(_read(path, ("split",)))
            )
        else:
            names[_split_in_name(path)] = None
    return tuple(sorted(names, key=lambda name: name != "train"))


def _rows(
    config: DataConfig, split: str, refer_columns: Sequence[str], answer_columns: Sequence[str]
) -> Iterator[tuple[str, int, Mapping[str, object]]]:
    """Yield (file and row for messages, the row's number over all files, row) for each row of a split.

    Args:
        config: the dataset.
        split: the split's name.
        refer_columns: the columns to read in jxu124's layout.
        answer_columns: the columns to read in lmms-lab's layout.
    """
    count = 0
    for path in _parquet_files(config):
        names = read_schema(path).names
        columns = refer_columns if "sentences" in names else answer_columns
        if missing := [name for name in columns if name not in names]:
            raise DataError(
                f"{path}: lacks the columns {', '.join(missing)} and has {', '.join(names)}; the layouts that can be "
                "read are jxu124's and lmms-lab's, see docs/formats.md"
            )
        by_row = "split" in columns
        if not by_row and _split_in_name(path) != split:
            continue
        for number, row in enumerate(_read(path, columns)):
            where = _place(path, number)
            if not by_row or _split_of(row, where) == split:
                yield where, count, row
                count += 1
    if not count:
        raise DataError(f"{config.path}: no split {split!r}; it has {', '.join(_splits(config)) or 'no rows'}")


def _parquet_files(config: DataConfig) -> list[Path]:
    found = sorted(config.path.glob("*.parquet")) or sorted((config.path / "data").glob("*.parquet"))
    if not found:
        raise DataError(f"{config.path}: no *.parquet; {folder_contents(config.path, '*')}; check `path`")
    return found


def _read(path: Path, columns: Sequence[str]) -> Iterator[Mapping[str, object]]:
    for batch in read_batches(path, columns):
        yield from batch.to_pylist()


def _split_in_name(path: Path) -> str:
    """Return the split at the beginning of a file's name: val for val-00000-of-00005.parquet."""
    return check_split_name(path.stem.split("-")[0], str(path))


def _split_of(row: Mapping[str, object], where: str) -> str:
    return check_split_name(required_str(row, "split", where), where)


def _place(path: Path, number: int) -> str:
    return f"{path}: row {number}"


def _photo(row: Mapping[str, object], where: str) -> tuple[str, str]:
    """Return the id and the file name of a photo.

    The id is COCO's number, as in REFER's layout, so a store that was made from one format serves the other. A file
    with another kind of name has its name as id.
    """
    name = required_photo(row, "file_name", where)
    found = _REFERS_PHOTO.fullmatch(name)
    return (str(int(found[2])), found[1] + found[3]) if found else (name, name)


def _category(row: Mapping[str, object], where: str) -> str:
    number = required_int(row, "category_id", where)
    if number not in COCO_CATEGORIES:
        raise DataError(f"{where}: 'category_id' is {number}, but COCO has no category with this id")
    return COCO_CATEGORIES[number]


def _json(row: Mapping[str, object], key: str, where: str) -> Mapping[str, object]:
    """Return one of COCO's rows, which a column holds as JSON text."""
    return as_mapping(parse_json(required_str(row, key, where), f"{where}, {key}", by_row=True), f"{where}, {key}")


def _truth_of_refers_row(row: Mapping[str, object], where: str, bad_rows: BadRows) -> Truth:
    image, annotation = _json(row, "raw_image_info", where), _json(row, "raw_anns", where)
    canvas = Canvas(*image_size(image, f"{where}, raw_image_info"), where, bad_rows.remark)
    return Truth.of_one(
        box=read_box(row["bbox"], canvas, XYXY),
        mask=read_mask(annotation.get("segmentation"), canvas),
        category=_category(row, where),
        size=canvas.size,
    )


def _truth_of_answers_row(row: Mapping[str, object], folder: Path, where: str, bad_rows: BadRows) -> Truth:
    _, photo = _photo(row, where)
    canvas = Canvas(*photo_size(folder / photo, where), where, bad_rows.remark)
    mask = read_mask(row.get("segmentation"), canvas)
    return Truth.of_one(read_box(row["bbox"], canvas, XYWH), mask, size=canvas.size)


HUB = Format(
    read_split=read_hub_split,
    read_truth=read_hub_truth,
    split_names=hub_splits,
    as_written=hub_as_written,
)
