"""`aligncat ablate`: print the results and comparisons of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.console import output_console
from aligncat.report.terminal import orderings_table, study_table

if TYPE_CHECKING:
    from aligncat.studies.compare import StudyResult


def show(result: StudyResult) -> None:
    """Print the REC accuracy of every row with the published one, and the comparisons between rows."""
    console = output_console(piped_width=140)
    labels = {row.name: row.label for row in result.rows}
    console.print(
        study_table(result.study.title, labels, result.results, result.published),
        orderings_table(labels, result.orderings),
    )
