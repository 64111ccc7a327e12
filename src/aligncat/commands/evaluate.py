"""`aligncat evaluate`: print the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.console import output_console
from aligncat.report.published_tables import published_beside
from aligncat.report.terminal import causes_table, masks_table, results_table, sets_table, slices_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligncat.evaluation.answers import Answers


def show(answers: Sequence[Answers]) -> None:
    """Print the metrics, the causes of wrong answers, and published results on the same splits."""
    results = [each.result for each in answers]
    console = output_console()
    console.print(results_table(results))
    if any(result.metrics.res_oiou is not None for result in results):
        console.print(masks_table(results))
    if (sets := sets_table(results)) is not None:
        console.print(sets)
    for result in results:
        if result.metrics.by_kind:
            console.print(slices_table([result]))
    console.print(*map(causes_table, answers))
    if (comparison := published_beside(results)) is not None:
        console.print(comparison)
