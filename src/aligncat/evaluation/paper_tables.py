"""A paper's tables as data: the records, and the reader of papers/*.toml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from aligncat.errors import DataError
from aligncat.files.documents import read_toml
from aligncat.files.fields import (
    as_mapping,
    optional_str,
    required_int,
    required_list,
    required_str,
    shorten,
)

Task: TypeAlias = Literal["rec", "res"]

_NONE = "-"
_PAPER_KEYS = ("source", "table")
_TABLE_KEYS = ("number", "study", "title", "task", "metric", "note", "columns", "rows")
_COLUMN_KEYS = ("dataset", "split_by", "split")
_ROW_KEYS = ("name", "venue", "reference", "proposals", "preset", "values")


@dataclass(frozen=True, slots=True)
class Column:
    """The data that a column of a table was measured on.

    Attributes:
        dataset: the dataset's name.
        split_by: who divided the dataset.
        split: the split's name.
    """

    dataset: str
    split_by: str
    split: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a published table: a system, or a setting of one.

    Attributes:
        name: name of the system or the setting.
        venue: where the system was published, as the paper gives it; None for the paper's own rows.
        reference: the system's number in the paper's bibliography; None for the paper's own rows.
        proposals: what the system chooses from, such as "Mask2Former queries"; None if its source does not say.
        preset: the name of the same setting in `aligncat.alignment.config.PRESETS`; None if it has no preset.
        values: percent, one per column; None where the paper gives none.
    """

    name: str
    venue: str | None
    reference: int | None
    proposals: str | None
    preset: str | None
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        source: citation of the paper.
        number: the table's number in the paper; None if the values are not from a numbered table.
        study: the study of `aligncat ablate` with the same rows; None if the rows are systems.
        title: what the table compares.
        task: rec or res.
        metric: name of the metric.
        note: an explanation that readers need; None if there is none.
        columns: the data of each column.
        rows: the rows, in the paper's order.
    """

    source: str
    number: int | None
    study: str | None
    title: str
    task: Task
    metric: str
    note: str | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def read_published(path: Path) -> tuple[PublishedTable, ...]:
    """Read the published tables of one paper.

    Args:
        path: a TOML file in the format that papers/aligncat.toml describes.

    Raises:
        DataError: the file is missing or not TOML, or a table, column, row or value is wrong.
    """
    document = read_toml(path)
    _check_keys(document, _PAPER_KEYS, str(path))
    source = required_str(document, "source", str(path))
    tables = tuple(
        _table(value, source, f"{path}: table {place}")
        for place, value in enumerate(required_list(document, "table", str(path)), start=1)
    )
    numbers = [table.number for table in tables if table.number is not None]
    if len(set(numbers)) < len(numbers):
        raise DataError(f"{path}: a table number occurs twice among {numbers}; give every table its own")
    return tables


def _table(value: object, source: str, where: str) -> PublishedTable:
    table = as_mapping(value, where)
    _check_keys(table, _TABLE_KEYS, where)
    [task] = [name for name in get_args(Task) if name == required_str(table, "task", where)] or [None]
    if task is None:
        raise DataError(f"{where}: task is {shorten(table['task'])}, but must be one of {', '.join(get_args(Task))}")
    columns = tuple(
        _column(each, f"{where}, column {place}")
        for place, each in enumerate(required_list(table, "columns", where), start=1)
    )
    return PublishedTable(
        source=source,
        number=required_int(table, "number", where) if "number" in table else None,
        study=optional_str(table, "study", where),
        title=required_str(table, "title", where),
        task=task,
        metric=required_str(table, "metric", where),
        note=optional_str(table, "note", where),
        columns=columns,
        rows=tuple(
            _row(each, len(columns), f"{where}, row {place}")
            for place, each in enumerate(required_list(table, "rows", where), start=1)
        ),
    )


def _column(value: object, where: str) -> Column:
    column = as_mapping(value, where)
    _check_keys(column, _COLUMN_KEYS, where)
    return Column(*(required_str(column, key, where) for key in _COLUMN_KEYS))


def _row(value: object, columns: int, where: str) -> Row:
    row = as_mapping(value, where)
    _check_keys(row, _ROW_KEYS, where)
    values = tuple(_percentage(each, where) for each in required_list(row, "values", where))
    if len(values) != columns:
        raise DataError(f"{where}: has {len(values)} values for {columns} columns")
    return Row(
        name=required_str(row, "name", where),
        venue=optional_str(row, "venue", where),
        reference=required_int(row, "reference", where) if "reference" in row else None,
        proposals=optional_str(row, "proposals", where),
        preset=optional_str(row, "preset", where),
        values=values,
    )


def _percentage(value: object, where: str) -> float | None:
    if value == _NONE:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise DataError(
            f"{where}: {shorten(value)} is not a percentage from 0 to 100; write {_NONE!r} if there is no value"
        )
    return float(value)


def _check_keys(row: object, keys: tuple[str, ...], where: str) -> None:
    unknown = [key for key in as_mapping(row, where) if key not in keys]
    if unknown:
        raise DataError(f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(keys)}")
