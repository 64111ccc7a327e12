"""`aligncat published`: print published results."""

from __future__ import annotations

from aligncat.evaluation.paper_tables import PublishedTable, Task
from aligncat.evaluation.published import TableNumber, select_published


def published(
    *,
    table: TableNumber | None = None,
    dataset: str | None = None,
    split: str | None = None,
    task: Task | None = None,
) -> tuple[PublishedTable, ...]:
    """Print the published results: Tables 1 to 5 of the paper, and later systems.

    Args:
        table: print only this table.
        dataset: print only the columns of this dataset.
        split: print only the columns of this split.
        task: print only rec (boxes) or res (masks).

    Returns:
        The selected tables and columns.

    Raises:
        DataError: no published result matches the selection.
    """
    from aligncat.console import output_console
    from aligncat.report.published_tables import published_table

    found = select_published(table=table, dataset=dataset, split=split, task=task)
    console = output_console()
    for each in found:
        console.print(published_table(each))
    return found
