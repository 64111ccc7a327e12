"""aligncat published: print published tables."""

from __future__ import annotations

from aligncat.console import output_console
from aligncat.evaluation.published import PublishedTable, TableNumber, Task, select_published
from aligncat.report.published_tables import published_table


def published(
    *,
    table: TableNumber | None = None,
    dataset: str | None = None,
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
        DataError: no table has such a value.
    """
    found = select_published(table=table, dataset=dataset, split=split, task=task)
    console = output_console()
    for each in found:
        console.print(published_table(each))
    return found
