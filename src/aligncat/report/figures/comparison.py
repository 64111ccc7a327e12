"""The same pictures answered by several configs or systems (the paper's Figures 4 to 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.report.figures.choosing import differing, row_of
from aligncat.report.figures.grouping import NothingToDrawError, compared
from aligncat.report.figures.sheet import Card, Section, sheet
from aligncat.report.figures.style import house_style
from aligncat.report.runs import run_key, run_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from matplotlib.figure import Figure

    from aligncat.evaluation.answers import Answers

COLUMNS = 5
_PANEL = 138.0  # points


@house_style()
def comparison_figure(runs: Sequence[Answers], *, examples: int = 6, photos: Path | None = None) -> Figure:
    """Draw expressions that the runs answer differently (`choosing.differing`), one row each, one column per run.

    Args:
        runs: runs on one split.
        examples: the largest number of expressions.
        photos: only pictures in this folder are drawn; by default all.

    Raises:
        NothingToDrawError: there are fewer than two runs, or all are right on the same expressions.
        DataError: two runs have different expressions with the same id.
    """
    shown = compared(runs, COLUMNS)
    if len(shown) < 2:
        raise NothingToDrawError("a comparison needs two runs on the same split")
    found = differing(shown, examples)
    if not found:
        raise NothingToDrawError("all runs are right on the same expressions, so there is nothing to compare")
    names = run_names([run.result for run in shown])
    sections = []
    for alike, rows in found:
        answers = [row_of(run, row) for run, row in zip(shown, rows, strict=True)]
        titles = [names[run_key(run.result)] for run in shown]
        cards = [Card(title, verdict(answer), answer) for title, answer in zip(titles, answers, strict=True)]
        sections.append(Section(f"“{answers[0]['text']}” (one of {alike:,} with these verdicts)", cards))
    return sheet(sections, len(shown), _PANEL, photos)


def verdict(answer: Mapping[str, Any]) -> str:
    """Return the note under a picture: right or wrong, and `measures`."""
    return f"{'✓ right' if answer['right'] else '✗ wrong'}: {measures(answer)}"


def measures(answer: Mapping[str, Any]) -> str:
    """Return the IoU of box and mask, and the probability."""
    if answer["choice"] < 0:
        return "no candidate to choose"
    if not answer["named"]:
        return f"nothing named; match {answer['match']:.2f}"
    mask = "" if answer["mask_iou"] is None else f", mask {answer['mask_iou']:.2f}"
    return f"box IoU {answer['box_iou']:.2f}{mask}; probability {answer['score']:.2f}"
