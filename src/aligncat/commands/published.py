"""aligncat published: the paper's tables, and its figures beside ours, never as ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from aligncat.datasets.config import DatasetName
from aligncat.errors import DataError
from aligncat.evaluation.published import (
    SOURCE,
    Column,
    PublishedFigure,
    PublishedTable,
    Task,
    published_figures,
    published_tables,
)
from aligncat.evaluation.results import Metric, Result, Summary, summaries
from aligncat.report.terminal import detector_training

_TITLE_WIDTH = 88  # so that a title is not broken over a narrow table
_SAID_WIDTH = 110  # the same for what is said of our lines
_TASKS: dict[Task, Metric] = {"rec": lambda metrics: metrics.rec, "res": lambda metrics: metrics.res_miou}


def published(
    *,
    table: Literal[1, 2, 3, 4, 5] | None = None,
    dataset: DatasetName | None = None,
    split: str | None = None,
    task: Task | None = None,
) -> tuple[PublishedTable, ...]:
    """Print the figures that the paper published, Tables 1 to 5.

    Args:
        table: one table; by default all.
        dataset: the columns of one dataset; by default all.
        split: the columns of one split; by default all.
        task: rec (boxes) or res (masks); by default both.

    Returns:
        The tables, with the columns that were asked for.

    Raises:
        DataError: the paper has no such figure.
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
        raise DataError(f"the paper has no figure for {wanted}: {_contents()}")
    console = Console(width=None if sys.stdout.isatty() else 120)
    for each in found:
        console.print(published_table(each))
    return found


def published_table(table: PublishedTable) -> Table:
    """One line a row of the paper, under a title that says whose figures these are."""
    title = f"Published, not measured here: Table {table.number} of {SOURCE}\n{table.title}: {table.metric}, percent"
    note = Text(table.note) if table.note else None
    shown = Table(title=Text(title), caption=note, box=SIMPLE_HEAD, pad_edge=False, min_width=_TITLE_WIDTH)
    shown.add_column("System" if table.number in (1, 2) else "Setting")
    if any(row.venue for row in table.rows):
        shown.add_column("Venue")
    for column in table.columns:
        shown.add_column(Text(f"{column.dataset}\n{column.split_by}\n{column.split}"), justify="right")
    for row in table.rows:
        cells = [row.name] if len(shown.columns) == len(table.columns) + 1 else [row.name, row.venue or ""]
        shown.add_row(*map(Text, cells), *("-" if value is None else f"{value:.2f}" for value in row.figures))
    return shown


def published_beside(results: Sequence[Result]) -> Table | None:
    """The figures that the paper published for the same splits, and ours below them.

    Args:
        results: of one or more configs, datasets, splits and seeds.

    Returns:
        One line a system, or None where the paper has none of the splits.

    Raises:
        DataError: results of one config and split do not fit each other (`aligncat.evaluation.summarise`).
    """
    ours = [(summary, figures) for summary in summaries(results) if (figures := _figures_of(summary.first))]
    if not ours:
        return None
    columns = sorted(
        {(each.table.task, each.column): each.table.number for _, figures in ours for each in figures}.items(),
        key=lambda item: item[0][0],
    )
    headings = [f"{task.upper()}\n{on.dataset}\n{on.split_by} {on.split}" for (task, on), _ in columns]
    title = f"Published figures, not measured here ({SOURCE}), and ours below them\npercent: {_metrics(ours)}"
    table = Table(title=Text(title), caption=Text(_said(ours)), box=SIMPLE_HEAD, pad_edge=False, min_width=_SAID_WIDTH)
    for heading in ("Whose", "System", "Venue"):
        table.add_column(heading, overflow="fold")
    for heading in headings:
        table.add_column(Text(heading), justify="right", overflow="fold")
    values = {
        (each.row.name, each.table.task, each.column): f"{each.value:.2f}" for _, figures in ours for each in figures
    }
    rows = {each.row.name: each.row for _, figures in ours for each in figures}
    for row in sorted(rows.values(), key=lambda row: row.preset is not None):  # next to ours what can be trained here
        cells = [values.get((row.name, *key), "-") for key, _ in columns]
        table.add_row("published", *map(Text, (row.name, row.venue or "the paper itself")), *cells)
    table.add_section()
    for config, detector in dict.fromkeys((s.first.config, s.first.detector) for s, _ in ours):
        own = [s for s, _ in ours if (s.first.config, s.first.detector) == (config, detector)]
        cells = [_percent(own, task, column) for (task, column), _ in columns]
        table.add_row("measured here", Text(config), "", *cells)
    return table


def _is_of(column: Column, dataset: str | None, split: str | None) -> bool:
    return dataset in (None, column.dataset) and split in (None, column.split)


def _with_columns(table: PublishedTable, kept: Sequence[int]) -> PublishedTable:
    """The table with some of its columns, and without rows that have no figure in these."""
    rows = [replace(row, figures=tuple(row.figures[place] for place in kept)) for row in table.rows]
    return replace(
        table,
        columns=tuple(table.columns[place] for place in kept),
        rows=tuple(row for row in rows if any(value is not None for value in row.figures)),
    )


def _contents() -> str:
    """What there is to ask for."""
    tables = [
        f"Table {table.number} has {table.task} on "
        + ", ".join(
            f"{dataset} ({' '.join(column.split for column in table.columns if column.dataset == dataset)})"
            for dataset in dict.fromkeys(column.dataset for column in table.columns)
        )
        for table in published_tables()
    ]
    return "; ".join(tables)


def _figures_of(result: Result) -> tuple[PublishedFigure, ...]:
    """The published figures of the split that a result is of, where ours has the same task.

    A file that does not say who divided RefCOCOg may be of either division, so nothing stands beside it.
    """
    if result.split_by is None and result.dataset == "refcocog":
        return ()
    found = published_figures(result.dataset, result.split, result.split_by)
    return tuple(each for each in found if _TASKS[each.table.task](result.metrics) is not None)


def _metrics(ours: Sequence[tuple[Summary, tuple[PublishedFigure, ...]]]) -> str:
    tables = {each.table.number: each.table for _, figures in ours for each in figures}
    return ", ".join(
        f"{table.task.upper()} {table.metric} (Table {number})" for number, table in sorted(tables.items())
    )


def _percent(rows: Sequence[Summary], task: Task, column: Column) -> str:
    """Our figure of a column, "-" where we have none."""
    for row in rows:
        on = (row.first.dataset, row.first.split, row.first.split_by or column.split_by)
        spread = row.metric(_TASKS[task])
        if on == (column.dataset, column.split, column.split_by) and spread is not None:
            deviation = "" if spread.deviation is None else f"±{100 * spread.deviation:.2f}"
            return f"{100 * spread.mean:.2f}{deviation}"
    return "-"


def _said(ours: Sequence[tuple[Summary, tuple[PublishedFigure, ...]]]) -> str:
    """What must be said of our lines: detector, what it has seen, sentences and seeds."""
    lines = []
    for row, _ in ours:
        first, seeds = row.first, ", ".join("none" if seed is None else str(seed) for seed in row.seeds)
        lines.append(
            f"{first.config} on {first.dataset} {first.split}: {first.metrics.expressions:,} sentences; detector "
            f"{first.detector} {detector_training(first)}; seeds {seeds}"
        )
    return "\n".join([*lines, "The systems differ in their detectors."])
