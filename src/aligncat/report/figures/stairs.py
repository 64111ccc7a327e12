"""A bar chart of the oracle staircase: the referents that are left after each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from aligncat.evaluation.answer_targets import targets_of
from aligncat.evaluation.staircase import staircase
from aligncat.report.figures.grouping import NothingToDrawError, by_config
from aligncat.report.figures.style import FAINT, across, house_style, label
from aligncat.wording import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligncat.evaluation.answers import Answers

STAGES = {
    "queries": "among all\nN queries",
    "candidates": "among the\nO candidates",
    "kept": "in the\nrefined set",
    "chosen": "chosen",
}
_ABSENT = {
    "queries": "not measured:\nno store of\nevery query",
    "kept": "a single\nstage has no\nrefined set",
}
_FLAT = 4  # largest group of bars whose numbers fit horizontally


@house_style()
def staircase_figure(runs: Sequence[Answers]) -> Figure:
    """Draw one bar per stage and run: the percentage of expressions whose referent is left (IoU above 0.5).

    Args:
        runs: runs on one split; the seeds of a config are drawn side by side in its colour.

    Raises:
        NothingToDrawError: there is no run, or no expression with a target.
    """
    runs = [run for run in runs if (targets_of(run.rows) > 0).any()]
    if not runs:
        raise NothingToDrawError("there is no run, or no expression with a target")
    configs = by_config(runs)
    drawn = [(staircase(run.rows), config) for config in configs for run in config.runs]
    width = 0.84 / len(drawn)
    figure = Figure(figsize=(max(6.4, 0.6 * len(drawn) + 1), 3.8), layout="constrained")
    axes = figure.add_subplot()
    upright = len(drawn) > _FLAT
    for place, (found, config) in enumerate(drawn):
        shares = [getattr(found, stage) for stage in STAGES]
        heights = [0 if share is None else 100 * share for share in shares]
        left = np.arange(len(STAGES)) - 0.42 + (place + 0.5) * width
        bars = axes.bar(left, heights, 0.92 * width, color=config.color, hatch=config.hatch, edgecolor="white", lw=0)
        labels = ["" if share is None else percent(share) for share in shares]
        axes.bar_label(bars, labels, rotation=90 if upright else 0, padding=2, fontsize=7)
    for place, stage in enumerate(STAGES):
        if all(getattr(found, stage) is None for found, _ in drawn):
            axes.text(place, 4, _ABSENT[stage], ha="center", va="bottom", fontsize=7.5, color=FAINT)
    axes.set_xticks(range(len(STAGES)), list(STAGES.values()))
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel="expressions whose referent is left, %", ylim=(0, 118 if upright else 108))
    axes.set_yticks(range(0, 101, 20))
    handles = [Patch(facecolor=c.color, hatch=c.hatch, edgecolor="white") for c in configs]
    names = [label(c.name) + (f" ({len(c.runs)} seeds)" if len(c.runs) > 1 else "") for c in configs]
    figure.legend(across(handles, 2), across(names, 2), loc="outside lower center", ncols=2)
    return figure
