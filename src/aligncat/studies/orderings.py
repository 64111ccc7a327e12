"""Whether one config is better than another beyond the spread: paired by expression and seed, with an interval."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy.special import stdtrit

from aligncat.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from aligncat.evaluation.answers import Answers

Holds: TypeAlias = Literal["yes", "no", "open"]
RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Ordering:
    """One config held against another on one split, in points of REC accuracy (percent).

    Attributes:
        better: the config that the paper has ahead; where the paper says nothing, simply the first.
        worse: the other.
        split: by name.
        paper: the paper's difference; None where it has none.
        ours: the mean over the seeds of better - worse.
        deviation: the sample standard deviation of the difference over the seeds; None for one seed.
        low: lower end of the 95% interval of `ordering`.
        high: upper end.
        holds: whether better is better here: "yes" or "no" when the interval is on one side of 0, "open" when not.
    """

    better: str
    worse: str
    split: str
    paper: float | None
    ours: float
    deviation: float | None
    low: float
    high: float
    holds: Holds


def ordering(
    better: tuple[str, Sequence[Answers]], worse: tuple[str, Sequence[Answers]], paper: float | None = None
) -> Ordering:
    """Compare two configs on one split.

    Two things make a difference uncertain, and the 95% interval holds both: which images were asked, by a bootstrap
    (images, whose expressions belong together, drawn with replacement 2,000 times; the middle 95%), and which seeds
    were trained, by Student's t of the paired differences. Their distances from the mean add as squares do. Of one
    seed the second is not known, and the interval holds the first alone.

    Args:
        better: a name, and the answers of its seeds on the split.
        worse: the same of the other config.
        paper: the paper's difference, points.

    Raises:
        DataError: the seeds or the expressions of the two are not the same.
    """
    first, second = (_by_seed(answers) for _, answers in (better, worse))
    if first.keys() != second.keys():
        raise DataError(
            f"{better[0]} and {worse[0]} cannot be paired: their seeds are {sorted(first)} and {sorted(second)}"
        )
    pairs = [(first[seed], second[seed]) for seed in sorted(first)]
    sums, counts = zip(*(_by_image(*pair) for pair in pairs), strict=True)
    differences = [100 * float(total.sum() / count.sum()) for total, count in zip(sums, counts, strict=True)]
    mean = statistics.fmean(differences)
    deviation = statistics.stdev(differences) if len(differences) > 1 else None
    below, above = (
        math.hypot(end - mean, _of_seeds(differences)) for end in _interval(np.mean(sums, axis=0), counts[0])
    )
    low, high = mean - below, mean + above
    split = pairs[0][0].result.split
    return Ordering(
        better=better[0],
        worse=worse[0],
        split=split,
        paper=paper,
        ours=mean,
        deviation=deviation,
        low=low,
        high=high,
        holds="yes" if low > 0 else "no" if high < 0 else "open",
    )


def _by_seed(answers: Sequence[Answers]) -> Mapping[int, Answers]:
    return {-1 if each.result.seed is None else each.result.seed: each for each in answers}


def _by_image(first: Answers, second: Answers) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """For each image, the sum over its expressions of right - right, and how many there are."""
    columns = ("expression_id", "image_id")
    if not first.table.select(columns).equals(second.table.select(columns)):
        raise DataError(
            f"{first.result.config} and {second.result.config} answered other expressions of {first.result.split}: "
            "evaluate both on the same data"
        )
    _, image = np.unique(first.table["image_id"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    right, other = (each.table["right"].to_numpy(zero_copy_only=False).astype(np.int64) for each in (first, second))
    sums: NDArray[np.float64] = np.bincount(image, weights=right - other).astype(np.float64)
    return sums, np.bincount(image)


def _of_seeds(differences: Sequence[float]) -> float:
    """Half the 95% interval of the mean of paired differences, by Student's t; 0 for one seed."""
    count = len(differences)
    if count == 1:
        return 0.0
    return float(stdtrit(count - 1, (1 + LEVEL) / 2)) * statistics.stdev(differences) / math.sqrt(count)


def _interval(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """The middle LEVEL of resampled differences, points.

    Args:
        sums: (images,).
        counts: (images,).
    """
    images = len(sums)
    weights = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    means = 100 * (weights @ sums) / (weights @ counts)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
