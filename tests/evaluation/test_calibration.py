from __future__ import annotations

import numpy as np
import pytest

from aligncat.evaluation.calibration import reliability


def test_bins_and_error_match_a_hand_calculation() -> None:
    probabilities = [0.05, 0.15, 0.15, 0.95, 0.85, 0.85, 0.85, 0.85]
    right = [False, True, False, True, True, True, True, False]

    found = reliability(probabilities, right)

    assert found.counts.tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 4, 1]
    np.testing.assert_allclose(found.probability[[0, 1, 8, 9]], [0.05, 0.15, 0.85, 0.95])
    np.testing.assert_allclose(found.accuracy[[0, 1, 8, 9]], [0, 0.5, 0.75, 1])
    assert np.isnan(found.probability[2:8]).all()
    assert np.isnan(found.accuracy[2:8]).all()
    # gaps 0.05, 0.35, 0.10, 0.05 for 1, 2, 4 and 1 answers: (0.05 + 0.70 + 0.40 + 0.05) / 8
    assert found.error == pytest.approx(0.15)


def test_a_probability_on_an_edge_falls_into_the_lower_bin_and_zero_into_the_first() -> None:
    found = reliability([0.0, 0.5, 1.0], [False, True, True], bins=2)

    assert found.edges.tolist() == [0, 0.5, 1]
    assert found.counts.tolist() == [2, 1]


def test_answers_that_are_right_as_often_as_their_probability_have_no_error() -> None:
    assert reliability([0.75] * 4, [True, True, True, False]).error == pytest.approx(0)


def test_a_probability_may_exceed_one_by_rounding() -> None:
    found = reliability([np.float32(1) + np.float32(2e-7)], [True])

    assert found.counts[-1] == 1
    assert found.error == 0


@pytest.mark.parametrize(
    ("probabilities", "right"),
    [([], []), ([0.5], [True, False]), ([1.1], [True]), ([-0.1], [True]), ([np.nan], [True])],
)
def test_bad_probabilities_are_refused(probabilities: list[float], right: list[bool]) -> None:
    with pytest.raises(ValueError, match=r"answers|probability"):
        reliability(probabilities, right)
