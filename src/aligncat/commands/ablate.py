"""aligncat ablate: print the table of a study and its comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.console import output_console
from aligncat.report.terminal import orderings_table, study_table

if TYPE_CHECKING:
    from aligncat.studies.compare import StudyResult


def show(result: StudyResult) -> None:
    """Print the REC accuracy of every row, beside the paper's, and whether one row is ahead of another."""
    console = output_console(piped_width=140)
    labels = {row.name: row.label for row in result.rows}
    console.print(
        study_table(result.study.title, labels, result.results, result.published),
        orderings_table(labels, result.orderings),
    )
