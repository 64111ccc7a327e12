"""Accuracy against the number of distractors: other annotated objects of the referent's category in the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from aligncat.errors import DataError
from aligncat.evaluation.answer_targets import chose_right
from aligncat.evaluation.proportions import wilson
from aligncat.report.figures.grouping import NothingToDrawError, by_config
from aligncat.report.figures.style import across, house_style, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aligncat.evaluation.answers import Answers

MOST = 5
"""Expressions with this many distractors or more share a point."""


@dataclass(frozen=True, slots=True, eq=False)
class ByDistractors:
    """Accuracy of one run by number of distractors.

    Attributes:
        distractors: (D,) int64, the numbers that occur, ascending; MOST means "MOST or more".
        accuracy: (D,) float64, share of right answers.
        counts: (D,) int64, number of expressions.
    """

    distractors: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    counts: NDArray[np.int64]

    def known(self) -> dict[int, int]:
        """Return the number of expressions by number of distractors."""
        return dict(zip(self.distractors.tolist(), self.counts.tolist(), strict=True))


def accuracy_by_distractors(answers: Answers) -> ByDistractors:
    """Return the accuracy by number of distractors; expressions whose number is unknown are left out."""
    found = answers.column("same_category").to_pylist()
    known = np.array([count is not None for count in found], dtype=bool)
    distractors = np.minimum(np.array([count for count in found if count is not None], np.int64), MOST)
    right = chose_right(answers.rows)[known]
    values, place, counts = np.unique(distractors, return_inverse=True, return_counts=True)
    return ByDistractors(values, np.bincount(place, right, len(values)) / counts, counts)


@house_style()
def distractors_figure(runs: Sequence[Answers]) -> Figure:
    """Draw one line per config, the mean over its seeds, with Wilson's 95% band for the n expressions of each point.

    All seeds answer the same expressions, so n counts each expression once.

    Args:
        runs: runs on one split.

    Raises:
        NothingToDrawError: the number of distractors is unknown for all expressions.
        DataError: the seeds of a config answered different expressions.
    """
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.add_subplot()
    totals: dict[int, set[int]] = {}
    for config in by_config(runs):
        seeds = [accuracy_by_distractors(run) for run in config.runs]
        first = seeds[0]
        if not first.counts.size:
            continue
        if any(first.known() != seed.known() for seed in seeds):
            raise DataError(
                f"the seeds of {config.name} answered different expressions, so they have no common mean; draw them "
                "separately"
            )
        mean = np.mean([seed.accuracy for seed in seeds], axis=0)
        low, high = wilson(mean, first.counts)
        name = label(config.name) + (f" (mean of {len(seeds)} seeds)" if len(seeds) > 1 else "")
        place = first.distractors
        axes.fill_between(place, 100 * low, 100 * high, color=config.color, alpha=0.15, linewidth=0)
        axes.plot(place, 100 * mean, color=config.color, linestyle=config.line, marker="o", ms=4, label=name)
        for value, count in first.known().items():
            totals.setdefault(value, set()).add(count)
    if not totals:
        raise NothingToDrawError(
            "the number of other objects of the referent's category is unknown for all expressions"
        )
    axes.set_xticks(sorted(totals), [_tick(value, totals[value]) for value in sorted(totals)])
    axes.margins(x=0.06)
    axes.set(xlabel="other objects of the referent's category in the image", ylabel="REC accuracy, %")
    handles, names = axes.get_legend_handles_labels()
    figure.legend(across(handles, 2), across(names, 2), loc="outside lower center", ncols=2)
    return figure


def _tick(value: int, counts: set[int]) -> str:
    number = f"{value}+" if value == MOST else str(value)
    low, high = min(counts), max(counts)
    return f"{number}\nn = {low:,}" + ("" if low == high else f" to {high:,}")
