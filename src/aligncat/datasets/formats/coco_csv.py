"""COCO's annotations with a CSV of phrases: <path>/instances.json and <path>/phrases.csv.

    annotation_id,phrase,split
    1767,the red mug on the left,train

The CSV has a header with the columns `phrase`, `split`, and `annotation_id` or `image_id` or both, in any order.
`sentence_id` is optional. A row without an annotation can be used for training but not for evaluation.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.annotations import annotated_objects, annotation_truth
from aligncat.datasets.formats.as_written import AsWritten, annotation_details
from aligncat.datasets.formats.bad_rows import BadRows, check_split_name, expression_text, required_photo
from aligncat.datasets.formats.boxes import BoxNumbers
from aligncat.datasets.formats.coco_csv_writer import COLUMNS, write_coco_csv
from aligncat.datasets.formats.format import Format, ReadOptions
from aligncat.datasets.formats.instances import Instances
from aligncat.datasets.formats.layout import existing_file
from aligncat.datasets.formats.referents import Referents, Sentence
from aligncat.datasets.split import Split
from aligncat.errors import DataError, MissingTruthError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, read_text
from aligncat.types import Truth


def read_csv_split(config: DataConfig, split: str, options: ReadOptions) -> Split:
    """Read one split; see `load_split`."""
    instances = _instances(config, options.files)
    annotations = instances.annotations
    bad_rows = options.bad_rows(_phrases_file(config))
    referents = Referents(config, split, bad_rows)
    for where, row in _rows_of_split(config, split, options.files, bad_rows):
        with bad_rows:
            annotation = _annotation(row, annotations, instances, where)
            place = where if annotation is None else instances.place(annotation)
            image_id, image = instances.image(annotation or row, place)
            if row["image_id"] not in ("", image_id):
                raise DataError(
                    f"{where}: image_id is {row['image_id']}, but annotation {row['annotation_id']} belongs to image "
                    f"{image_id}; correct one of them"
                )
            text = expression_text(row["phrase"], where)
            referents.add(
                _referent_id(row),
                image_id,
                required_photo(image, "file_name", f"{instances.path}: image {image_id}"),
                None if annotation is None else instances.category_name(annotation, place),
                [Sentence(text, row["sentence_id"] or None)],
                where,
            )
    return referents.split(check_images=options.check_images)


def read_csv_truth(config: DataConfig, split: str, options: ReadOptions) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    instances = _instances(config, options.files)
    annotations = instances.annotations
    bad_rows = options.bad_rows(_phrases_file(config))
    numbers = BoxNumbers.of(config)
    truths: dict[str, Truth] = {}
    for where, row in _rows_of_split(config, split, options.files, bad_rows):
        with bad_rows:
            if _referent_id(row) in truths:
                continue
            annotation = _annotation(row, annotations, instances, where)
            if annotation is None:
                raise MissingTruthError(f"{where}: no annotation_id; evaluation needs one in every row")
            image_id, _ = instances.image(annotation, instances.place(annotation))
            category = instances.category_name(annotation, instances.place(annotation))
            truths[_referent_id(row)] = annotation_truth(annotation, image_id, category, instances, numbers, bad_rows)
    bad_rows.report(len(truths))
    return truths


def csv_splits(config: DataConfig, files: AnnotationFiles) -> tuple[str, ...]:
    """List the splits of the CSV, "train" first.

    Raises:
        DataError: the file is missing or does not follow the format.
    """
    names = dict.fromkeys(row["split"] for _, row in _rows(config, files, BadRows(_phrases_file(config), skip=True)))
    return tuple(sorted(names, key=lambda name: name != "train"))


def csv_as_written(config: DataConfig, split: str, files: AnnotationFiles) -> dict[str, AsWritten]:
    """Read the details of each referent's annotation, by referent id.

    Rows that do not follow the format are left out, since the reader of expressions refuses them.
    """
    instances = _instances(config, files)
    annotations = instances.annotations
    found: dict[str, AsWritten] = {}
    bad_rows = BadRows(_phrases_file(config), skip=True)
    for where, row in _rows_of_split(config, split, files, bad_rows):
        with bad_rows:
            annotation = _annotation(row, annotations, instances, where)
            if annotation is not None:
                found[_referent_id(row)] = AsWritten(row["annotation_id"], annotation_details(annotation))
    return found


def _instances(config: DataConfig, files: AnnotationFiles) -> Instances:
    return Instances.read(existing_file(config.path / "instances.json", "*.json", "path"), files)


def _phrases_file(config: DataConfig) -> Path:
    return existing_file(config.path / "phrases.csv", "*.csv", "path")


def _rows_of_split(
    config: DataConfig, split: str, files: AnnotationFiles, bad_rows: BadRows
) -> Iterator[tuple[str, dict[str, str]]]:
    found: dict[str, None] = {}
    for where, row in _rows(config, files, bad_rows):
        found[row["split"]] = None
        if row["split"] == split:
            yield where, row
    if split not in found:
        raise DataError(f"{bad_rows.source}: no split {split!r}; it has {', '.join(found) or 'no rows'}")


def _rows(config: DataConfig, files: AnnotationFiles, bad_rows: BadRows) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file and line for messages, row). A row has its "line" and every column, "" where the file has none."""
    path = _phrases_file(config)
    reader = csv.reader(io.StringIO(files.read(_text, path), newline=""), strict=True)
    try:
        header = _header(path, next(reader, []))
        for cells in reader:
            where = f"{path}:{reader.line_num}"
            row = None
            with bad_rows:
                row = _row(header, cells, where) if cells else None
            if row is not None:
                check_split_name(row["split"], where)
                yield where, {**row, "line": str(reader.line_num)}
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not CSV ({error})") from error


def _text(path: Path) -> str:
    return read_text(path, limit=MAX_ANNOTATION_BYTES)


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [name.strip() for name in cells]
    if unknown := [name for name in header if name not in COLUMNS]:
        raise DataError(f"{path}:1: column {unknown[0]!r} is not known; the known ones are {', '.join(COLUMNS)}")
    missing = [name for name in ("phrase", "split") if name not in header]
    if not {"image_id", "annotation_id"} & {*header}:
        missing.append("annotation_id (or image_id)")
    if missing:
        raise DataError(f"{path}:1: the header lacks {', '.join(missing)}")
    return header


def _row(header: list[str], cells: list[str], where: str) -> dict[str, str]:
    if len(cells) != len(header):
        raise DataError(f"{where}: {len(cells)} cells for {len(header)} columns; a phrase with a comma needs quotes")
    row = dict.fromkeys(COLUMNS, "") | dict(zip(header, (cell.strip() for cell in cells), strict=True))
    if not row["split"] or not (row["annotation_id"] or row["image_id"]):
        raise DataError(f"{where}: the row needs a 'split', and an 'annotation_id' or an 'image_id'")
    return row


def _referent_id(row: Mapping[str, str]) -> str:
    return row["annotation_id"] or f"line:{row['line']}"


def _annotation(
    row: Mapping[str, str], annotations: Mapping[str, Mapping[str, object]], instances: Instances, where: str
) -> Mapping[str, object] | None:
    """Return the annotation that a row names, or None if it names only an image."""
    number = row["annotation_id"]
    if number and number not in annotations:
        raise DataError(f"{where}: annotation_id {number} is not among the annotations of {instances.path}")
    return annotations[number] if number else None


COCO_CSV = Format(
    read_split=read_csv_split,
    read_truth=read_csv_truth,
    split_names=csv_splits,
    list_objects=lambda config, images, files: annotated_objects(
        _instances(config, files), images, BoxNumbers.of(config)
    ),
    as_written=csv_as_written,
    instances=_instances,
    write=write_coco_csv,
    boxes="xywh",
)
