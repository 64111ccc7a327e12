"""Reliability diagrams: is an answer of score 0.9 right nine times in ten?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from aligncat.evaluation.calibration import reliability
from aligncat.evaluation.proportions import wilson
from aligncat.report.figures.grouping import NothingToDrawError, by_config
from aligncat.report.figures.style import FAINT, INK, house_style, wrap
from aligncat.report.runs import run_key, run_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from aligncat.evaluation.answers import Answers
    from aligncat.evaluation.calibration import Reliability
    from aligncat.report.figures.grouping import Color

_COLUMNS, _PANEL = 4, 2.3  # inches


@house_style()
def calibration_figure(runs: Sequence[Answers]) -> Figure:
    """Draw for every run its accuracy by score, in ten bins, with Wilson's 95% intervals and the counts below.

    Args:
        runs: of one split.

    Raises:
        NothingToDrawError: there is no run.
    """
    if not runs:
        raise NothingToDrawError("there is no run")
    names = run_names([run.result for run in runs])
    drawn = [(run, config.color) for config in by_config(runs) for run in config.runs]
    columns = min(_COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = Figure(figsize=(_PANEL * columns + 0.5, 3.3 * rows + 0.2), layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[3.2, 1] * rows)
    for place, (run, color) in enumerate(drawn):
        row, column = divmod(place, columns)
        found = reliability(run.table["score"].to_numpy(), run.table["right"].to_numpy())
        name = wrap(names[run_key(run.result)], 72 * _PANEL * 0.8, lines=2)
        grid[2 * row, column].set_title("\n".join([*name, f"ECE {100 * found.error:.1f}%"]))
        _draw_accuracy(grid[2 * row, column], found, color)
        _draw_counts(grid[2 * row + 1, column], found, color)
    for place in range(len(drawn), rows * columns):
        for half in (0, 1):
            grid[2 * (place // columns) + half, place % columns].remove()
    for row in range(rows):
        grid[2 * row, 0].set_ylabel("share right, %")
        grid[2 * row + 1, 0].set_ylabel("answers")
    return figure


def _draw_accuracy(axes: Axes, found: Reliability, color: Color) -> None:
    filled = found.counts > 0
    score, accuracy = 100 * found.score[filled], 100 * found.accuracy[filled]
    low, high = wilson(found.accuracy[filled], found.counts[filled])
    axes.plot([0, 100], [0, 100], color=FAINT, linestyle="dotted", linewidth=1, gid="diagonal")
    axes.vlines(score, 100 * low, 100 * high, color=color, linewidth=1)
    axes.plot(score, accuracy, color=color, marker="o", ms=4, linewidth=1.2, gid="accuracy")
    axes.set(xlim=(0, 102), ylim=(0, 102), xticks=range(0, 101, 25), yticks=range(0, 101, 25), aspect="equal")
    axes.tick_params(labelbottom=False)


def _draw_counts(axes: Axes, found: Reliability, color: Color) -> None:
    edges = 100 * found.edges
    bars = axes.bar(edges[:-1], found.counts, np.diff(edges), align="edge", color=color, alpha=0.6, edgecolor="white")
    axes.set(xlim=(0, 102), xticks=range(0, 101, 25), xlabel="score, %", ylim=(0, 1.25 * found.counts.max()))
    fullest = int(found.counts.argmax())
    axes.bar_label(bars, [f"{c:,}" if i == fullest else "" for i, c in enumerate(found.counts)], fontsize=6, color=INK)
