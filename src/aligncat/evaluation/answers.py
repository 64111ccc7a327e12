"""A grounder's answers on a split, with candidates, scores and truth, as a Parquet file of one row per expression."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aligncat.datasets.tables import numbered
from aligncat.errors import DataError
from aligncat.evaluation.answer_checks import check_answers
from aligncat.evaluation.answer_columns import SCORES, choice_columns, choice_of, expression_columns, truth_columns
from aligncat.evaluation.answer_sets import AnswerSets
from aligncat.evaluation.causes import causes
from aligncat.evaluation.outcomes import Outcomes
from aligncat.evaluation.questions import BLOCK
from aligncat.evaluation.results import Result
from aligncat.files.atomic import replaced_file
from aligncat.files.documents import open_bytes, parse_json
from aligncat.files.fields import as_mapping, optional_strs, required, required_list
from aligncat.files.parquet import BLANK_SEAL, SEAL, check_seal, read_batches, read_schema, seal
from aligncat.files.table_file import blocks_of, keep_rows
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.store.rows import temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from aligncat.datasets.split import Split
    from aligncat.evaluation.questions import Questions
    from aligncat.files.table_file import TableRows
    from aligncat.store.reader import Store
    from aligncat.types import Choices, Truth

_FLOATS, _STRINGS = pa.list_(pa.float32()), pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("expression_id", pa.string()),
        ("referent_id", pa.string()),
        ("image_id", pa.string()),
        ("image_path", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("text", pa.string()),
        ("kind", pa.string()),
        ("needed", _STRINGS),
        ("redundant", _STRINGS),
        ("referent_category", pa.string()),
        ("predicted_category", pa.string()),
        ("category_matched", pa.bool_()),
        ("words", _STRINGS),
        ("word_weights", _FLOATS),
        ("choice", pa.int32()),
        ("score", pa.float32()),
        ("right", pa.bool_()),
        ("cause", pa.string()),
        ("box_iou", pa.float32()),
        ("mask_iou", pa.float32()),
        ("query_right", pa.bool_()),
        ("same_category", pa.int32()),
        ("size", pa.float32()),
        ("length", pa.int32()),
        ("truth_box", _FLOATS),
        ("truth_mask", pa.binary()),
        ("chosen_mask", pa.binary()),
        ("boxes", _FLOATS),
        ("categories", pa.list_(pa.int16())),
        ("confidences", _FLOATS),
        ("kept", pa.list_(pa.bool_())),
        ("probabilities", _FLOATS),
        ("ious", _FLOATS),
        *((f"{name}_scores", _FLOATS) for name in SCORES),
        ("match", pa.float32()),
        ("several", pa.list_(pa.bool_())),
    ]
)
"""Columns of an answers table.

The lists from `boxes` on run over the image's O candidates, in the order of `Store.candidates`; `boxes` has four
numbers for each (xyxy pixels). `word_weights` runs over `words`. `truth_box` has four numbers for each target.
"""
_SINCE_SETS = ("match", "several")
_BEFORE_SETS = pa.schema([field for field in SCHEMA if field.name not in _SINCE_SETS])

_KEY = b"aligncat"
_BLOCK = 1024  # rows that are Python objects at once
_KEPT_IMAGES = 1024  # images whose candidates are kept
_MAX_BYTES = 2**32  # answers to a million expressions take about 1 GB


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers of one grounder on one split.

    Attributes:
        result: the metrics, with the conditions they were measured under.
        labels: the detector's category names, by class index.
        provenance: plain data: "grounder" (its folder), "store" (the detector's description), "alignment" (the config).
        rows: E rows of SCHEMA; many are in a temporary file (see `table`, `column` and `blocks`). `choice` is -1 where
            the image has no candidate. `score` is the probability of the chosen object (`object_probability`). `cause`
            is one of CAUSES, or "right". `box_iou` and `mask_iou` are of the choice. `size` is the area of the targets'
            boxes as a fraction of the image. `same_category` counts the other annotated objects of the referent's
            category. `length` is in words. `match` and `several` are those of `Choices`. Masks are the `counts` of an
            RLE of size (height, width): `truth_mask` of all targets together, `chosen_mask` of the choice, or of the
            several objects that the answer names. Unknown values are null.
    """

    result: Result
    labels: tuple[str, ...]
    provenance: Mapping[str, Any]
    rows: TableRows

    def __len__(self) -> int:
        return self.rows.num_rows

    @property
    def table(self) -> pa.Table:
        """All rows, in memory."""
        return self.rows.select(self.rows.schema.names)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column of all rows."""
        return self.rows.select([name])[name]

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows in order, some at a time.

        Args:
            columns: the columns to read; all by default.
        """
        return blocks_of(self.rows, BLOCK, columns)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result, self.labels, self.provenance, self.table)

    def save(self, path: Path) -> None:
        """Write the answers as a Parquet file, atomically.

        Raises:
            OSError: the file cannot be written; an existing file is left unchanged.
        """
        header = {"result": self.result.to_json(), "labels": list(self.labels), "provenance": dict(self.provenance)}
        metadata = {_KEY: json.dumps(header, ensure_ascii=False).encode(), SEAL: BLANK_SEAL}
        schema = self.rows.schema.with_metadata(metadata)
        with replaced_file(path) as file:
            with pq.ParquetWriter(file, schema, compression="zstd") as writer:
                for block in self.blocks():
                    writer.write_table(block.replace_schema_metadata(metadata))
            seal(file)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read answers that `save` wrote. Files without a hash, from earlier versions, are checked as far as possible.

        Raises:
            DataError: the file is missing, does not hold answers, or is damaged: its hash is wrong, a value is out of
                its range, a row's lists do not fit each other, or a mask does not fit its image.
        """
        try:
            with open_bytes(path, limit=_MAX_BYTES) as file:
                check_seal(file, path)
                schema = read_schema(path, file=file)
                result, labels, provenance = _header(schema, path)
                if not (schema.equals(SCHEMA) or schema.equals(_BEFORE_SETS)):
                    raise DataError(f"{path}: it was written by another version of aligncat; evaluate again")
                batches = map(_with_all_columns, read_batches(path, file=file))
                # What is checked here is what is read later, whatever happens to the file.
                rows = keep_rows(SCHEMA, batches, temporary_folder(path.parent), BLOCK)
        except DataError as error:
            raise DataError(
                f"{path} does not hold answers of `aligncat evaluate --out`: {str(error).removeprefix(f'{path}: ')}"
            ) from error
        check_answers(rows, labels, result, str(path))
        return cls(result, labels, provenance, rows)


def _with_all_columns(batch: pa.RecordBatch) -> pa.Table:
    """Return a batch as a table of SCHEMA. Columns that older files lack are null."""
    table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
    for name in {*_SINCE_SETS} - {*table.schema.names}:
        table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
    return table.select(SCHEMA.names)


def _header(schema: pa.Schema, path: Path) -> tuple[Result, tuple[str, ...], Mapping[str, object]]:
    """Return the result, the labels and the provenance that a file records."""
    where = f"{path}: the header"
    try:
        text = (schema.metadata or {})[_KEY].decode()
    except (KeyError, UnicodeDecodeError):
        raise DataError(f"{where} is missing or damaged") from None
    header = as_mapping(parse_json(text, where), where)
    required_list(header, "labels", where)
    return (
        Result.from_json(required(header, "result", where), str(path)),
        optional_strs(header, "labels", where),
        as_mapping(required(header, "provenance", where), f"{where}, provenance"),
    )


def answers_table(
    questions: Questions, choices: Choices, queries: Store | None = None, sets: AnswerSets | None = None
) -> pa.Table:
    """Return the answers to E expressions as a table of SCHEMA.

    Args:
        questions: the E expressions, their truth and their candidates.
        choices: the grounder's choices for the same expressions and store.
        queries: a store that has all queries of the same detector (`aligncat extract --every_query`). It tells
            whether the detector missed the referent or the confidence filter dropped it.
        sets: the objects that the answers name; None if every expression has one target.

    Raises:
        StoreError: a store lacks an image.
    """
    split, truth, overlaps = questions.split, questions.truth, questions.overlaps
    # Expressions of an image mostly stand near each other.
    candidates_of = lru_cache(_KEPT_IMAGES)(questions.store.candidates)
    query_right = None if queries is None else _query_right(split, truth, queries)
    outcomes = Outcomes.of(overlaps, choices.choice)
    cause = causes(overlaps, choices, questions.store.labels, _categories(questions), query_right, sets)
    right = outcomes.right if sets is None else sets.right

    def columns(row: int) -> dict[str, Any]:
        expression = overlaps.expressions[row]
        candidates = candidates_of(expression.image_id)
        return {
            **expression_columns(split, overlaps, choices, row),
            **choice_columns(candidates, choices, row, several=sets is not None),
            **truth_columns(candidates, truth[expression.referent_id]),
            "right": bool(right[row]),
            "cause": cause[row],
            "box_iou": float(overlaps.box_iou[row, choice_of(candidates, choices, row)]),
            "mask_iou": None if np.isnan(outcomes.mask_iou[row]) else float(outcomes.mask_iou[row]),
            "query_right": None if query_right is None else bool(query_right[row]),
            "same_category": None if (count := int(overlaps.same_category_objects[row])) < 0 else count,
            "ious": overlaps.box_iou[row, : len(candidates)],
        }

    # As Python objects, a row takes many times what it takes in the table.
    blocks = [range(len(overlaps))[start : start + _BLOCK] for start in range(0, len(overlaps), _BLOCK)]
    batches = [pa.RecordBatch.from_pylist([*map(columns, rows)], schema=SCHEMA) for rows in blocks]
    return pa.Table.from_batches(batches, SCHEMA).combine_chunks()


def _categories(questions: Questions) -> NDArray[np.int64]:
    """Return c^V with the columns of `Overlaps`, (E, O + 1); -1 where there is no candidate."""
    images, numbers = numbered(questions.overlaps.expressions, "image_id")
    found = questions.store.categories(images)[numbers]
    return np.pad(found, ((0, 0), (0, 1)), constant_values=-1)


def _query_right(split: Split, truth: Mapping[str, Truth], queries: Store) -> NDArray[np.bool_]:
    """Return (E,) bool: for each target, some query's box has an IoU above 0.5 with it."""
    boxes = dict(zip(split.images, queries.boxes(list(split.images)), strict=True))
    best = {
        (e.image_id, e.referent_id): (
            (box_iou(truth[e.referent_id].boxes, boxes[e.image_id]) > SAME_OBJECT_IOU).any(axis=1).all()
        )
        for e in split.expressions
    }
    return np.array([best[e.image_id, e.referent_id] for e in split.expressions])
