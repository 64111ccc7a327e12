"""Compare two configs, paired by expression and seed, with a confidence interval."""

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
    """The comparison of two configs on one split, in percentage points of REC accuracy.

    Attributes:
        better: the config with the higher published accuracy, or the first config if none is published.
        worse: the other config.
        split: the split's name.
        paper: the published difference, better - worse; None if none is published.
        ours: the measured difference, better - worse, as the mean over the seeds.
        deviation: the sample standard deviation of the difference over the seeds; None for one seed.
        low: the lower end of the 95% interval of the difference; see `ordering`.
        high: the upper end.
        holds: whether `better` is better in our measurement: "yes" if the interval is above 0, "no" if it is below,
            "open" if it contains 0.
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

    The 95% interval covers two sources of uncertainty:

    - the sample of images. A bootstrap draws as many images with replacement, each with all its expressions, 2,000
      times, and keeps the middle 95% of the differences.
    - the sample of seeds, with Student's t interval of the paired differences.

    Each end of the interval is as far from the mean as the root of the sum of the two squared distances. With one seed,
    the interval covers only the sample of images.

    Args:
        better: a config's name, and its answers for each seed on the split.
        worse: the name and answers of the other config.
        paper: the published difference in percentage points.

    Raises:
        DataError: the two configs have different seeds or expressions.
    """
    first, second = (_by_seed(answers) for _, answers in (better, worse))
    if first.keys() != second.keys():
        raise DataError(
            f"{better[0]} and {worse[0]} cannot be compared: their seeds are {sorted(first)} and {sorted(second)}; "
            "evaluate both with the same seeds"
        )
    pairs = [(first[seed], second[seed]) for seed in sorted(first)]
    sums, counts = zip(*(_by_image(*pair) for pair in pairs), strict=True)
    differences = [100 * float(total.sum() / count.sum()) for total, count in zip(sums, counts, strict=True)]
    mean = statistics.fmean(differences)
    deviation = statistics.stdev(differences) if len(differences) > 1 else None
    below, above = (
        math.hypot(end - mean, _seed_half_width(differences))
        for end in _image_interval(np.mean(sums, axis=0), counts[0])
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
    """Return for each image the number of right answers of the first minus the second, and of expressions."""
    columns = ("expression_id", "image_id")
    if not first.rows.select(columns).equals(second.rows.select(columns)):
        raise DataError(
            f"{first.result.config} and {second.result.config} answered different expressions of split "
            f"{first.result.split}; evaluate both on the same data"
        )
    _, image = np.unique(first.column("image_id").to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    right, other = (each.column("right").to_numpy(zero_copy_only=False).astype(np.int64) for each in (first, second))
    sums: NDArray[np.float64] = np.bincount(image, weights=right - other).astype(np.float64)
    return sums, np.bincount(image)


def _seed_half_width(differences: Sequence[float]) -> float:
    """Return half the width of Student's t interval (95%) of the mean of paired differences; 0 for one seed."""
    count = len(differences)
    if count == 1:
        return 0.0
    return float(stdtrit(count - 1, (1 + LEVEL) / 2)) * statistics.stdev(differences) / math.sqrt(count)


def _image_interval(sums: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """Return the bootstrap interval of the difference over images, in percentage points.

    Args:
        sums: (images,), right answers of the first config minus right answers of the second.
        counts: (images,), expressions.
    """
    images = len(sums)
    weights = np.random.default_rng(0).multinomial(images, np.full(images, 1 / images), size=RESAMPLES)
    means = 100 * (weights @ sums) / (weights @ counts)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
