"""Reliability diagrams: are answers with probability 0.9 right nine times out of ten?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from aligncat.evaluation.answer_targets import chose_right, targets_of
from aligncat.evaluation.calibration import reliability
from aligncat.evaluation.proportions import wilson
from aligncat.report.figures.grouping import NothingToDrawError, by_config
from aligncat.report.figures.style import FAINT, INK, house_style, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from aligncat.evaluation.answers import Answers
    from aligncat.evaluation.calibration import Reliability
    from aligncat.report.figures.grouping import Color

_COLUMNS, _PANEL, _ROW = 4, 2.3, 3.4  # inches


@house_style()
def calibration_figure(runs: Sequence[Answers]) -> Figure:
    """Draw each run's accuracy by probability in ten bins, with Wilson's 95% intervals and counts.

    The probability and the accuracy are those of the choice. Expressions without a target do not count.

    Args:
        runs: runs on one split.

    Raises:
        NothingToDrawError: there is no run, or no expression with a target.
    """
    with_target = [run for run in runs if (targets_of(run.rows) > 0).any()]
    return _diagrams(with_target, _of_choice, "share right, %", "probability, %")


@house_style()
def match_figure(runs: Sequence[Answers]) -> Figure:
    """Draw the share of expressions that have a target by their match, like `calibration_figure`.

    Args:
        runs: runs on one split.

    Raises:
        NothingToDrawError: no run has a match, or every expression has a target.
    """
    matched = [
        run for run in runs if not run.column("match").null_count and len(run) and (targets_of(run.rows) == 0).any()
    ]
    return _diagrams(matched, _of_match, "share with a target, %", "match, %")


def _of_choice(run: Answers) -> Reliability:
    rows = targets_of(run.rows) > 0
    return reliability(run.column("score").to_numpy()[rows], chose_right(run.rows)[rows])


def _of_match(run: Answers) -> Reliability:
    return reliability(run.column("match").to_numpy(), targets_of(run.rows) > 0)


def _diagrams(
    runs: Sequence[Answers], measured: Callable[[Answers], Reliability], share: str, probability: str
) -> Figure:
    """Draw one reliability diagram for each run."""
    if not runs:
        raise NothingToDrawError("there is no run")
    drawn = [(run, config) for config in by_config(runs) for run in config.runs]
    columns = min(_COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    width, height = _PANEL * columns + 0.8, _ROW * rows
    figure = Figure(figsize=(width, height))
    for place, (run, config) in enumerate(drawn):
        row, column = divmod(place, columns)
        if column == 0:
            grid = figure.add_gridspec(
                nrows=2,
                ncols=columns,
                left=0.8 / width,
                right=1 - 0.15 / width,
                top=1 - (_ROW * row + 0.6) / height,
                bottom=1 - (_ROW * (row + 1) - 0.5) / height,
                height_ratios=(3.2, 1),
                hspace=0.12,
                wspace=0.28,
            )
        accuracy, counts = (figure.add_subplot(grid[half, column]) for half in (0, 1))
        found = measured(run)
        seed = f"seed {run.result.seed}, " if len(config.runs) > 1 else ""
        name = wrap(config.name, 72 * _PANEL * 0.7, lines=2)
        accuracy.set_title("\n".join([*name, f"{seed}ECE {100 * found.error:.1f}%"]))
        _draw_accuracy(accuracy, found, config.color)
        _draw_counts(counts, found, config.color, probability)
        if column == 0:
            accuracy.set_ylabel(share)
            counts.set_ylabel("answers")
            figure.align_ylabels((accuracy, counts))
    return figure


def _draw_accuracy(axes: Axes, found: Reliability, color: Color) -> None:
    filled = found.counts > 0
    probability, accuracy = 100 * found.probability[filled], 100 * found.accuracy[filled]
    low, high = wilson(found.accuracy[filled], found.counts[filled])
    axes.plot([0, 100], [0, 100], color=FAINT, linestyle="dotted", linewidth=1, gid="diagonal")
    axes.vlines(probability, 100 * low, 100 * high, color=color, linewidth=1, clip_on=False)
    axes.plot(probability, accuracy, color=color, marker="o", ms=4, linewidth=1.2, clip_on=False, gid="accuracy")
    axes.set(xlim=(0, 102), ylim=(0, 102), xticks=range(0, 101, 25), yticks=range(0, 101, 25))
    axes.tick_params(labelbottom=False)


def _draw_counts(axes: Axes, found: Reliability, color: Color, probability: str) -> None:
    edges = 100 * found.edges
    bars = axes.bar(edges[:-1], found.counts, np.diff(edges), align="edge", color=color, alpha=0.6, edgecolor="white")
    axes.set(xlim=(0, 102), xticks=range(0, 101, 25), xlabel=probability, ylim=(0, 1.25 * found.counts.max()))
    fullest = int(found.counts.argmax())
    axes.bar_label(bars, [f"{c:,}" if i == fullest else "" for i, c in enumerate(found.counts)], fontsize=6, color=INK)
