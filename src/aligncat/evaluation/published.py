"""The paper's Tables 1 to 5 as data. Nothing here was measured by this package."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from aligncat.datasets.rows import (
    as_mapping,
    optional_str,
    read_text,
    required_int,
    required_list,
    required_str,
    shorten,
)
from aligncat.errors import DataError

SHIPPED = Path(__file__).with_name("published.toml")
SOURCE = "Wang et al., AlignCAT, ACM MM 2025"

Task: TypeAlias = Literal["rec", "res"]
Ablation: TypeAlias = Literal["table3", "table4", "table5"]

_NONE = "-"
_TABLE_KEYS = ("number", "title", "task", "metric", "note", "columns", "rows")
_COLUMN_KEYS = ("dataset", "split_by", "split")
_ROW_KEYS = ("name", "venue", "reference", "preset", "figures")


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of a table was measured on.

    Attributes:
        dataset: by name.
        split_by: who divided it.
        split: by name.
    """

    dataset: str
    split_by: str
    split: str


@dataclass(frozen=True, slots=True)
class Row:
    """A system, or a setting of one.

    Attributes:
        name: what it is.
        venue: where it was published, as the paper gives it; None for the paper's own rows.
        reference: its number in the paper's bibliography; None for the paper's own rows.
        preset: the name of the same setting in `aligncat.alignment.PRESETS`; None where it is none of them.
        figures: percent, one a column; None where the paper has none.
    """

    name: str
    venue: str | None
    reference: int | None
    preset: str | None
    figures: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A table of the paper.

    Attributes:
        number: the paper's.
        title: what it compares.
        task: rec or res.
        metric: what the figures are.
        note: what must be known to read it; None where it is plain.
        columns: what was measured on.
        rows: in the paper's order.
    """

    number: int
    title: str
    task: Task
    metric: str
    note: str | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class PublishedFigure:
    """One figure, with all that must be said beside it.

    Attributes:
        table: the table that it stands in.
        column: what it was measured on.
        row: whose it is.
        value: percent.
    """

    table: PublishedTable
    column: Column
    row: Row
    value: float


def read_published(path: Path) -> tuple[PublishedTable, ...]:
    """Read tables of published figures.

    Args:
        path: a TOML file as published.toml describes itself.

    Raises:
        DataError: the file is missing, not TOML, or a table, column, row or figure is not as asked.
    """
    try:
        document = tomllib.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as a TOML file ({error})") from error
    _known(document, ("table",), str(path))
    tables = tuple(
        _table(value, f"{path}: table {place}")
        for place, value in enumerate(required_list(document, "table", str(path)), start=1)
    )
    numbers = [table.number for table in tables]
    if len(set(numbers)) < len(numbers):
        raise DataError(f"{path}: the table numbers {numbers} are not all different")
    return tables


@cache
def published_tables() -> tuple[PublishedTable, ...]:
    """The paper's Tables 1 to 5."""
    return read_published(SHIPPED)


def published_figures(
    dataset: str, split: str, split_by: str | None = None, task: Task | None = None
) -> tuple[PublishedFigure, ...]:
    """The figures of Tables 1 and 2, systems side by side, for a split of a dataset.

    Args:
        dataset: by name.
        split: by name.
        split_by: who divided it; any by default. RefCOCOg's val of one division is not comparable with the other's.
        task: rec or res; both by default.

    Returns:
        In the paper's order; empty where the paper has none.
    """
    return tuple(
        PublishedFigure(table, column, row, value)
        for table in published_tables()
        if table.number in (1, 2) and task in (None, table.task)
        for row in table.rows
        for column, value in zip(table.columns, row.figures, strict=True)
        if value is not None
        and (column.dataset, column.split) == (dataset, split)
        and split_by in (None, column.split_by)
    )


def published_ablation(table: Ablation) -> dict[str, dict[str, float]]:
    """An ablation table, which is of REC on RefCOCO.

    Returns:
        Name of a preset -> split (val, testA, testB) -> percent; rows in the paper's order.
    """
    [found] = [each for each in published_tables() if f"table{each.number}" == table]
    return {
        row.preset: {
            column.split: value for column, value in zip(found.columns, row.figures, strict=True) if value is not None
        }
        for row in found.rows
        if row.preset is not None
    }


def _table(value: object, where: str) -> PublishedTable:
    table = as_mapping(value, where)
    _known(table, _TABLE_KEYS, where)
    [task] = [name for name in get_args(Task) if name == required_str(table, "task", where)] or [None]
    if task is None:
        raise DataError(f"{where}: task is {shorten(table['task'])}, and must be one of {', '.join(get_args(Task))}")
    columns = tuple(
        _column(each, f"{where}, column {place}")
        for place, each in enumerate(required_list(table, "columns", where), start=1)
    )
    return PublishedTable(
        number=required_int(table, "number", where),
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
    _known(column, _COLUMN_KEYS, where)
    return Column(*(required_str(column, key, where) for key in _COLUMN_KEYS))


def _row(value: object, columns: int, where: str) -> Row:
    row = as_mapping(value, where)
    _known(row, _ROW_KEYS, where)
    figures = tuple(_figure(each, where) for each in required_list(row, "figures", where))
    if len(figures) != columns:
        raise DataError(f"{where}: has {len(figures)} figures for {columns} columns")
    return Row(
        name=required_str(row, "name", where),
        venue=optional_str(row, "venue", where),
        reference=required_int(row, "reference", where) if "reference" in row else None,
        preset=optional_str(row, "preset", where),
        figures=figures,
    )


def _figure(value: object, where: str) -> float | None:
    if value == _NONE:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise DataError(f"{where}: {shorten(value)} is no percentage, and not {_NONE!r} for none")
    return float(value)


def _known(row: object, keys: tuple[str, ...], where: str) -> None:
    unknown = [key for key in as_mapping(row, where) if key not in keys]
    if unknown:
        raise DataError(f"{where}: key {unknown[0]!r} is not known; there are {', '.join(keys)}")
