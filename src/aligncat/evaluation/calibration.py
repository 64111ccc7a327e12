"""Calibration of probabilities: is an answer of probability 0.9 right nine times in ten?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BINS = 10
_ROUNDING = 1e-5  # a sum of float32 shares may pass 1 by this much


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """The answers in B bins of equal width by probability; bin b is (edges[b], edges[b + 1]], and 0 is in the first.

    Attributes:
        edges: (B + 1,) float64, from 0 to 1.
        counts: (B,) int64, answers in each bin.
        probability: (B,) float64, mean probability in the bin; NaN where it is empty.
        accuracy: (B,) float64, share of right answers in the bin; NaN where it is empty.
        error: expected calibration error, the mean over the answers of |accuracy - probability| of their bin (Naeini,
            Cooper & Hauskrecht 2015; Guo et al. 2017, Eq. 3).
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    probability: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    error: float


def reliability(probability: ArrayLike, right: ArrayLike, bins: int = BINS) -> Reliability:
    """Sort answers into bins by probability and compare each bin's accuracy with its mean probability.

    Args:
        probability: (E,) the probability that the answer is right, in [0, 1]; at least one.
        right: (E,) bool, whether it is.
        bins: how many bins, B.

    Raises:
        ValueError: there is no answer, the lengths differ, or a probability is outside [0, 1].
    """
    claimed, outcome = np.asarray(probability, np.float64), np.asarray(right, bool)
    if claimed.ndim != 1 or claimed.shape != outcome.shape or not claimed.size:
        raise ValueError(f"probabilities of shape {claimed.shape} and outcomes of shape {outcome.shape} are no answers")
    if not ((claimed >= 0) & (claimed <= 1 + _ROUNDING)).all():
        raise ValueError("a probability is not between 0 and 1")
    claimed = np.minimum(claimed, 1)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, claimed, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 in an empty bin is the NaN that is promised
        mean = np.bincount(place, claimed, bins) / counts
        accuracy = np.bincount(place, outcome, bins) / counts
    filled = counts > 0
    gaps = np.abs(accuracy - mean)[filled]
    return Reliability(edges, counts, mean, accuracy, float((gaps * counts[filled]).sum() / counts.sum()))
