from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from aligncat.evaluation.proportions import wilson


@pytest.mark.parametrize(("right", "of"), [(0, 1), (1, 1), (0, 30), (3, 7), (950, 1000), (1000, 1000)])
def test_wilson_matches_scipy(right: int, of: int) -> None:
    expected = binomtest(right, of).proportion_ci(method="wilson")

    low, high = wilson(right / of, of)

    np.testing.assert_allclose((low, high), (expected.low, expected.high), atol=1e-12)


def test_wilson_takes_arrays() -> None:
    low, high = wilson(np.array([0.2, 0.5]), np.array([10, 20]))

    assert low.shape == high.shape == (2,)
    assert (low < [0.2, 0.5]).all()
    assert (high > [0.2, 0.5]).all()
