from __future__ import annotations

import numpy as np
import pytest

from aligncat.evaluation.calibration import reliability


def test_bins_and_error_by_hand() -> None:
    scores = [0.05, 0.15, 0.15, 0.95, 0.85, 0.85, 0.85, 0.85]
    right = [False, True, False, True, True, True, True, False]

    found = reliability(scores, right)

    assert found.counts.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 4, 1]
    np.testing.assert_allclose(found.probability[[0, 1, 8, 9]], [0.05, 0.15, 0.85, 0.95])
    np.testing.assert_allclose(found.accuracy[[0, 1, 8, 9]], [0, 0.5, 0.75, 1])
    assert np.isnan(found.probability[2:8]).all()
    assert np.isnan(found.accuracy[2:8]).all()
    # gaps 0.05, 0.35, 0.10, 0.05 for 1, 2, 4 and 1 answers: (0.05 + 0.70 + 0.40 + 0.05) / 8
    assert found.error == pytest.approx(0.15)


def test_a_score_on_an_edge_is_in_the_lower_bin_and_zero_in_the_first() -> None:
    found = reliability([0.0, 0.5, 1.0], [False, True, True], bins=2)

    assert found.edges.tolist() == [0, 0.5, 1]
    assert found.counts.tolist() == [2, 1]


def test_what_is_right_as_often_as_it_says_has_no_error() -> None:
    assert reliability([0.75] * 4, [True, True, True, False]).error == pytest.approx(0)


def test_a_sum_of_shares_may_pass_one_by_its_rounding() -> None:
    found = reliability([np.float32(1) + np.float32(2e-7)], [True])

    assert found.counts[-1] == 1
    assert found.error == 0


@pytest.mark.parametrize(
    ("scores", "right"), [([], []), ([0.5], [True, False]), ([1.1], [True]), ([-0.1], [True]), ([np.nan], [True])]
)
def test_what_is_no_probability_is_refused(scores: list[float], right: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"answers|probability"):
        reliability(scores, right)
