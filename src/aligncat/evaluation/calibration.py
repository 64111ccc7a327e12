"""Calibration of probabilities: are answers with probability 0.9 right nine times out of ten?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

BINS = 10
_ROUNDING = 1e-5  # a sum of float32 shares may exceed 1 by this much


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Answers grouped by probability into B bins of equal width.

    Bin b covers (edges[b], edges[b + 1]]; a probability of 0 falls into the first bin.

    Attributes:
        edges: (B + 1,) float64, from 0 to 1.
        counts: (B,) int64, answers in each bin.
        probability: (B,) float64, mean probability in the bin; NaN if the bin is empty.
        accuracy: (B,) float64, share of right answers in the bin; NaN if the bin is empty.
        error: expected calibration error: |accuracy - probability| of each answer's bin, averaged over the answers
            (Naeini, Cooper & Hauskrecht 2015; Guo et al. 2017, Eq. 3).
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    probability: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    error: float


def reliability(probability: ArrayLike, right: ArrayLike, bins: int = BINS) -> Reliability:
    """Group answers into bins by probability, and compare each bin's accuracy with its mean probability.

    Args:
        probability: (E,) the probability that each answer is right, in [0, 1]; E >= 1.
        right: (E,) bool, whether the answer is right.
        bins: the number of bins, B.

    Raises:
        ValueError: there is no answer, the lengths differ, or a probability is outside [0, 1].
    """
    claimed, outcome = np.asarray(probability, np.float64), np.asarray(right, bool)
    if claimed.ndim != 1 or claimed.shape != outcome.shape or not claimed.size:
        raise ValueError(
            f"expected one probability and one outcome for each of E >= 1 answers, not shapes {claimed.shape} and "
            f"{outcome.shape}"
        )
    if not ((claimed >= 0) & (claimed <= 1 + _ROUNDING)).all():
        raise ValueError("a probability is outside [0, 1]")
    claimed = np.minimum(claimed, 1)
    edges = np.linspace(0, 1, bins + 1)
    bin_of = np.clip(np.searchsorted(edges, claimed, side="left") - 1, 0, bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    with np.errstate(invalid="ignore"):  # an empty bin is 0 / 0, which gives the documented NaN
        mean = np.bincount(bin_of, claimed, bins) / counts
        accuracy = np.bincount(bin_of, outcome, bins) / counts
    filled = counts > 0
    gaps = np.abs(accuracy - mean)[filled]
    return Reliability(edges, counts, mean, accuracy, float((gaps * counts[filled]).sum() / counts.sum()))
