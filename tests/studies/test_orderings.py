"""Paired comparisons: differences by hand, and intervals by the formulas of the normal distribution and Student's t."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from aligncat.errors import DataError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.results import Result
from aligncat.studies.orderings import ordering

NO_METRICS = Metrics(1, 0.0, 0.0, 0, None, None, None, None, None, None)


def answers(config: str, seed: int, right, images=None) -> Answers:
    right = np.asarray(right, dtype=bool)
    images = np.arange(len(right)) if images is None else np.asarray(images)
    table = pa.table(
        {
            "expression_id": [str(n) for n in range(len(right))],
            "image_id": images.astype(str).tolist(),
            "right": right.tolist(),
        }
    )
    return Answers(Result("toy", "val", None, config, "d", "clean", seed, {}, NO_METRICS), (), {}, table)


def test_the_difference_is_the_mean_over_the_seeds():
    one = [answers("a", 0, [1, 1, 1, 0]), answers("a", 1, [1, 1, 1, 1])]
    other = [answers("b", 1, [1, 1, 0, 1]), answers("b", 0, [0, 0, 0, 0])]
    found = ordering(("a", one), ("b", other), paper=1.5)
    # seed 0: 75 points, seed 1: 25 points
    assert (found.ours, found.deviation) == (50, pytest.approx(np.std([75, 25], ddof=1)))
    assert (found.better, found.worse, found.split, found.paper) == ("a", "b", "val", 1.5)


def test_a_clear_difference_holds_or_not_and_an_equal_pair_is_open():
    random = np.random.default_rng(0)
    strong, weak = (random.random((3, 400)) < share for share in (0.8, 0.5))
    first, second = ([answers(n, s, rows[s]) for s in range(3)] for n, rows in (("strong", strong), ("weak", weak)))
    assert ordering(("strong", first), ("weak", second)).holds == "yes"
    assert ordering(("weak", second), ("strong", first)).holds == "no"
    assert ordering(("weak", second), ("weak", second)).holds == "open"


def test_a_difference_within_the_spread_of_the_seeds_is_open():
    # The differences of the three seeds are 1, 2 and 3 points of 100 images.
    def pair(*points):
        gained = [answers("a", seed, np.arange(100) < 50 + each) for seed, each in enumerate(points)]
        return ordering(("a", gained), ("b", [answers("b", seed, np.arange(100) < 50) for seed in range(len(points))]))

    # Student's t for 2 degrees of freedom is 4.3027: 2 ± 4.3027 × 1 / sqrt(3), plus the uncertainty of the images.
    found = pair(1, 2, 3)
    assert (found.ours, found.deviation) == (pytest.approx(2), pytest.approx(1))
    seed_width = 4.3027 / np.sqrt(3)
    image_width = 1.96 * np.sqrt((0.01 * 1 + 0.01 * 4 / 9 + 0.01 * 1 / 9 - 0.02**2) / 100) * 100
    assert (found.high - found.low) / 2 == pytest.approx(np.hypot(seed_width, image_width), rel=0.05)
    assert found.holds == "open"
    assert pair(20, 21, 22).holds == "yes"


def test_equal_seeds_add_nothing_to_the_interval():
    random = np.random.default_rng(3)
    first = random.random(500) < 0.7
    one, other = ([answers(n, s, rows) for s in range(3)] for n, rows in (("a", first), ("b", np.zeros(500))))
    three, alone = ordering(("a", one), ("b", other)), ordering(("a", one[:1]), ("b", other[:1]))
    assert (three.low, three.high) == (pytest.approx(alone.low), pytest.approx(alone.high))


def test_the_interval_of_one_seed_is_that_of_a_paired_difference_of_proportions():
    random = np.random.default_rng(1)
    first, second = random.random(2000) < 0.7, random.random(2000) < 0.6
    found = ordering(("a", [answers("a", 0, first)]), ("b", [answers("b", 0, second)]))
    difference = first.astype(float) - second
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert found.low == pytest.approx(100 * (difference.mean() - 1.96 * error), abs=0.3)
    assert found.high == pytest.approx(100 * (difference.mean() + 1.96 * error), abs=0.3)


def test_expressions_of_one_image_are_resampled_together():
    random = np.random.default_rng(2)
    first = random.random(200) < 0.7
    alone = ordering(("a", [answers("a", 0, first)]), ("b", [answers("b", 0, np.zeros(200))]))
    # Ten copies of each expression in the same image carry no new information, so the interval is as wide.
    images = np.repeat(np.arange(200), 10)
    ten = ordering(
        ("a", [answers("a", 0, np.repeat(first, 10), images)]), ("b", [answers("b", 0, np.zeros(2000), images)])
    )
    assert ten.high - ten.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_answers_that_cannot_be_paired_are_rejected():
    one, two = answers("a", 0, [1, 0]), answers("b", 1, [1, 0])
    with pytest.raises(DataError, match="seeds are"):
        ordering(("a", [one]), ("b", [two]))
    with pytest.raises(DataError, match="answered different expressions"):
        ordering(("a", [one]), ("b", [answers("b", 0, [1, 0, 1])]))
