"""Whether one config is better than another beyond the spread: paired by expression and seed, with an interval."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

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
        low: lower end of the bootstrap interval.
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

    The interval resamples seeds and images (whose expressions belong together) with replacement, 2,000 times, and
    takes the middle 95%. Few seeds make it too narrow: of n seeds, a resample sees n draws at most.

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
    low, high = _interval(np.stack(sums), counts[0])
    split = pairs[0][0].result.split
    return Ordering(
        better=better[0],
        worse=worse[0],
        split=split,
        paper=paper,
        ours=statistics.fmean(differences),
        deviation=statistics.stdev(differences) if len(differences) > 1 else None,
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


def _interval(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """The middle LEVEL of resampled differences, points.

    Args:
        sums: (seeds, images).
        counts: (images,).
    """
    random = np.random.default_rng(0)
    seeds, images = sums.shape
    weights = random.multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    drawn = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES) / seeds
    means = 100 * ((weights @ sums.T) * drawn).sum(axis=1) / (weights @ counts)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
