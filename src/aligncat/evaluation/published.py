"""The tables of published papers, as data. None of their values was measured with this package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from aligncat.errors import DataError
from aligncat.evaluation.paper_tables import Column, PublishedTable, Row, Task, read_published
from aligncat.wording import did_you_mean

_FOLDER = Path(__file__).with_name("papers")
PAPERS = tuple(_FOLDER / f"{name}.toml" for name in ("aligncat", "cpl", "weakmcn", "dvin"))
"""One file per paper, in the order in which they are shown. papers/aligncat.toml describes the format."""


@dataclass(frozen=True, slots=True)
class PublishedValue:
    """One published value, with its table, column and row.

    Attributes:
        table: the table of the value.
        column: the data that it was measured on.
        row: the system or setting that was measured.
        value: percent.
    """

    table: PublishedTable
    column: Column
    row: Row
    value: float


def published_tables() -> tuple[PublishedTable, ...]:
    """Return the tables of all `PAPERS`."""
    return tuple(table for path in PAPERS for table in read_published(path))


def select_published(
    *, table: int | None = None, dataset: str | None = None, split: str | None = None, task: Task | None = None
) -> tuple[PublishedTable, ...]:
    """Return the published tables reduced to the requested columns and to the rows with a value there.

    Args:
        table: number of a table; all tables by default.
        dataset: only the columns of this dataset; all by default.
        split: only the columns of this split; all by default.
        task: rec or res; both by default.

    Raises:
        DataError: no table has such a column.
    """
    found = tuple(
        _with_columns(each, kept)
        for each in published_tables()
        if table in (None, each.number) and task in (None, each.task)
        if (kept := [place for place, column in enumerate(each.columns) if _is_of(column, dataset, split)])
    )
    if not found:
        asked = {"table": table, "dataset": dataset, "split": split, "task": task}
        wanted = ", ".join(f"{name} {value}" for name, value in asked.items() if value is not None)
        columns = [column for each in published_tables() for column in each.columns]
        near = _near(dataset, {column.dataset for column in columns}) or _near(split, {each.split for each in columns})
        raise DataError(f"no published value for {wanted}{near or ';'} {_contents()}")
    return found


def published_values(
    dataset: str, split: str, split_by: str | None = None, task: Task | None = None
) -> tuple[PublishedValue, ...]:
    """Return the published values of systems on a split of a dataset.

    Args:
        dataset: the dataset's name.
        split: the split's name.
        split_by: who divided the dataset; any by default. It matters for RefCOCOg, whose two divisions have different
            val splits.
        task: rec or res; both by default.

    Returns:
        The values in the order of the papers and their tables; none if no paper has the split.
    """
    return tuple(
        PublishedValue(table, column, row, value)
        for table in published_tables()
        if table.study is None and task in (None, table.task)
        for row in table.rows
        for column, value in zip(table.columns, row.values, strict=True)
        if value is not None
        and (column.dataset, column.split) == (dataset, split)
        and split_by in (None, column.split_by)
    )


def published_ablation(study: str) -> dict[str, dict[str, float]]:
    """Return the published rows of a study: REC on RefCOCO.

    Returns:
        Preset name -> split (val, testA, testB) -> percent, in the order of the paper's rows. Empty if no paper has
        the study.
    """
    return {
        row.preset: {
            column.split: value for column, value in zip(table.columns, row.values, strict=True) if value is not None
        }
        for table in published_tables()
        if table.study == study
        for row in table.rows
        if row.preset is not None
    }


def _is_of(column: Column, dataset: str | None, split: str | None) -> bool:
    return dataset in (None, column.dataset) and split in (None, column.split)


def _near(name: str | None, known: set[str]) -> str:
    return "" if name is None or name in known else did_you_mean(name, sorted(known))


def _with_columns(table: PublishedTable, kept: Sequence[int]) -> PublishedTable:
    """Return a table with only some columns, and only the rows with a value in one of them."""
    rows = [replace(row, values=tuple(row.values[place] for place in kept)) for row in table.rows]
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(row for row in rows if any(value is not None for value in row.values)),
    )


def _contents() -> str:
    """Return a sentence that lists the tables with their tasks, datasets and splits."""
    tables = [
        f"{table.source if table.number is None else f'Table {table.number}'} has {table.task} on "
        + ", ".join(
            f"{dataset} ({' '.join(column.split for column in table.columns if column.dataset == dataset)})"
            for dataset in dict.fromkeys(column.dataset for column in table.columns)
        )
        for table in published_tables()
    ]
    return "; ".join(tables)


if TYPE_CHECKING:
    TableNumber: TypeAlias = int
else:
    # The command line offers exactly the existing numbers.
    TableNumber = Literal[tuple(sorted({table.number for table in published_tables() if table.number is not None}))]
