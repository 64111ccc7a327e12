"""Terminal tables of published values, on their own or above our results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.console import DataTable, shown
from aligncat.datasets.known import known_dataset
from aligncat.evaluation.published import published_values
from aligncat.evaluation.results import summaries
from aligncat.report.terminal import detector_training
from aligncat.wording import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from aligncat.evaluation.paper_tables import Column, PublishedTable, Row, Task
    from aligncat.evaluation.published import PublishedValue
    from aligncat.evaluation.results import Metric, Result, Summary

_TITLE_WIDTH = 88  # columns; keeps the title of a narrow table on one line
_CAPTION_WIDTH = 110  # columns; likewise for the caption
_METRICS: dict[Task, Metric] = {"rec": lambda metrics: metrics.rec, "res": lambda metrics: metrics.res_miou}


def published_table(table: PublishedTable) -> Table:
    """Return a published table, titled with its source."""
    title = shown(
        f"Published, not measured here: {_name(table)}",
        f"{table.title}: {table.metric}, percent",
    )
    made = DataTable(title, caption=shown(table.note) if table.note else None, min_width=_TITLE_WIDTH)
    made.add_column("System" if table.study is None else "Setting")
    if with_venue := any(row.venue for row in table.rows):
        made.add_column("Venue")
    if with_proposals := any(row.proposals for row in table.rows):
        made.add_column("Proposals")
    for column in table.columns:
        made.add_column(shown(column.dataset, str(column.split_by), column.split), justify="right")
    for row in table.rows:
        cells = [row.name, *([row.venue or ""] if with_venue else []), *([row.proposals or ""] * with_proposals)]
        made.add_row(*cells, *("-" if value is None else f"{value:.2f}" for value in row.values))
    return made


def published_beside(results: Sequence[Result]) -> Table | None:
    """Return a table of the values published for the splits of some results, with our values below them.

    Args:
        results: results of any configs, datasets, splits and seeds.

    Returns:
        A table with one line per system, or None if nothing was published for these splits.

    Raises:
        DataError: the results of a config and split cannot be summarised (`aligncat.evaluation.results.summarise`).
    """
    ours = [(summary, values) for summary in summaries(results) if (values := _values_of(summary.first))]
    if not ours:
        return None
    published = [each for _, values in ours for each in values]
    sources = list(dict.fromkeys(each.table.source for each in published))
    columns = sorted(dict.fromkeys((each.table.task, each.column) for each in published), key=lambda key: key[0])
    headings = [shown(task.upper(), on.dataset, f"{on.split_by} {on.split}") for task, on in columns]
    title = shown(
        f"Published results, not measured here ({'; '.join(sources)}), and ours below them",
        f"percent: {_metrics_of(published, sources)}",
    )
    caption = shown(*_conditions([summary for summary, _ in ours]))
    table = DataTable(title, caption=caption, min_width=_CAPTION_WIDTH)
    for heading in ("Whose", "System", "Venue", "Proposals"):
        table.add_column(heading, overflow="fold")
    for column in headings:
        table.add_column(column, justify="right", overflow="fold")
    cell_of = {
        (each.table.source, each.row.name, each.table.task, each.column): f"{each.value:.2f}" for each in published
    }
    rows = {(each.table.source, each.row.name): each.row for each in published}
    # Systems that aligncat can train come last, next to our own lines.
    for (source, name), row in sorted(rows.items(), key=lambda item: item[1].preset is not None):
        venue = _venue(row, source, only_source=len(sources) == 1)
        cells = [cell_of.get((source, name, *key), "-") for key in columns]
        table.add_row("published", name, venue, row.proposals or "", *cells)
    table.add_section()
    for config, detector in dict.fromkeys((s.first.config, s.first.detector) for s, _ in ours):
        own = [s for s, _ in ours if (s.first.config, s.first.detector) == (config, detector)]
        cells = [_percent(own, task, column) for task, column in columns]
        table.add_row("measured here", config, "", "", *cells)
    return table


def _values_of(result: Result) -> tuple[PublishedValue, ...]:
    """Return the values published for a result's split, for the tasks that the result has a metric of.

    RefCOCOg without a split-by may be either of two divisions, so it gets no published values.
    """
    if result.split_by is None and known_dataset(result.dataset).must_say_division:
        return ()
    found = published_values(result.dataset, result.split, result.split_by)
    return tuple(each for each in found if _METRICS[each.table.task](result.metrics) is not None)


def _metrics_of(published: Sequence[PublishedValue], sources: Sequence[str]) -> str:
    """Return a phrase that names each metric and the tables that it is from."""
    named: dict[str, list[str]] = {}
    for table in sorted({each.table for each in published}, key=lambda each: each.number or 0):
        metric = f"{table.task.upper()} {table.metric}"
        only_source = len(sources) == 1 and table.number is not None
        named.setdefault(metric, []).append(f"Table {table.number}" if only_source else _name(table))
    return ", ".join(f"{metric} ({'; '.join(names)})" for metric, names in named.items())


def _name(table: PublishedTable) -> str:
    return table.source if table.number is None else f"Table {table.number} of {table.source}"


def _venue(row: Row, source: str, *, only_source: bool) -> str:
    """Return where a system was published, and the paper that reports it if there are several papers."""
    if only_source:
        return row.venue or "the paper itself"
    return f"{row.venue}, as in {source}" if row.venue else source


def _percent(rows: Sequence[Summary], task: Task, column: Column) -> str:
    """Return our value for a column, or "-" if there is none."""
    for row in rows:
        on = (row.first.dataset, row.first.split, row.first.split_by or column.split_by)
        spread = row.metric(_METRICS[task])
        if on == (column.dataset, column.split, column.split_by) and spread is not None:
            return percent(spread.mean, spread.deviation, decimals=2)
    return "-"


def _conditions(ours: Sequence[Summary]) -> list[str]:
    """Return lines with the conditions of ours: expressions, detector, whether it has seen the images, and seeds."""
    lines = []
    for row in ours:
        first, seeds = row.first, ", ".join("none" if seed is None else str(seed) for seed in row.seeds)
        lines.append(
            f"{first.config} on {first.dataset} {first.split}: {first.metrics.expressions:,} sentences; detector "
            f"{first.detector} {detector_training(first)}; features {first.reads}; seeds {seeds}"
        )
    return [*lines, "The systems differ in their detectors and proposals."]
