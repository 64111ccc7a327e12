"""Confidence intervals of proportions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Z95 = 1.959963984540054  # standard normal, two-sided 95%


def wilson(share: ArrayLike, count: ArrayLike, z: float = Z95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Wilson's score interval of a proportion (E. B. Wilson, JASA 22, 1927).

    The interval is valid for small counts and for proportions near 0 or 1.

    Args:
        share: (...) the observed proportion, in [0, 1].
        count: (...) the number of independent trials, at least 1.
        z: standard normal quantile.

    Returns:
        The lower and the upper end, each of the arguments' shape.
    """
    p, n = np.asarray(share, np.float64), np.asarray(count, np.float64)
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)
