"""Failures by cause, one panel per cause (the paper's Figure 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.evaluation.causes import MEANING
from aligncat.report.figures.choosing import row_of, typical_failures
from aligncat.report.figures.comparison import measures
from aligncat.report.figures.grouping import NothingToDrawError
from aligncat.report.figures.sheet import Card, Section, sheet
from aligncat.report.figures.style import house_style

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from aligncat.evaluation.answers import Answers

_COLUMNS, _PANEL = 3, 190.0  # points


@house_style()
def failures_figure(answers: Answers, *, photos: Path | None = None) -> Figure:
    """Draw the typical failure of each cause (`choosing.typical_failures`) with the cause's share of all failures.

    Args:
        answers: a run.
        photos: only pictures in this folder are drawn; by default all.

    Raises:
        NothingToDrawError: no answer is wrong.
    """
    found = typical_failures(answers.rows.select(["expression_id", "score", "cause"]))
    if not found:
        raise NothingToDrawError("no answer is wrong")
    total = sum(count for count, _ in found.values())
    cards = []
    for cause, (count, row) in found.items():
        answer = row_of(answers, row)
        title = f"{cause.replace('_', ' ')}: {count:,} of {total:,} failures ({count / total:.1%})"
        cards.append(Card(title, f"“{answer['text']}” — {MEANING[cause]} ({measures(answer)})", answer))
    return sheet([Section("", cards)], min(_COLUMNS, len(cards)), _PANEL, photos)
