"""Paired comparisons: differences by hand, and intervals against scipy's bootstrap and the normal formula."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from aligncat.errors import DataError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.metrics import Scores
from aligncat.evaluation.orderings import ordering
from aligncat.evaluation.results import Result

NO_SCORES = Scores(1, 0.0, 0.0, 0, None, None, None, None, None, None)


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
    return Answers(Result("toy", "val", None, config, "d", "clean", seed, {}, NO_SCORES), (), {}, table)


def test_the_difference_is_the_mean_over_the_seeds():
    one = [answers("a", 0, [1, 1, 1, 0]), answers("a", 1, [1, 1, 1, 1])]
    other = [answers("b", 1, [1, 1, 0, 1]), answers("b", 0, [0, 0, 0, 0])]
    found = ordering(("a", one), ("b", other), paper=1.5)
    # seed 0: 75 points, seed 1: 25 points
    assert (found.ours, found.deviation) == (50, pytest.approx(np.std([75, 25], ddof=1)))
    assert (found.better, found.worse, found.split, found.paper) == ("a", "b", "val", 1.5)


def test_a_clear_difference_holds_both_ways_and_none_is_open():
    random = np.random.default_rng(0)
    strong, weak = (random.random((3, 400)) < share for share in (0.8, 0.5))
    first, second = ([answers(n, s, rows[s]) for s in range(3)] for n, rows in (("strong", strong), ("weak", weak)))
    assert ordering(("strong", first), ("weak", second)).holds == "yes"
    assert ordering(("weak", second), ("strong", first)).holds == "no"
    assert ordering(("weak", second), ("weak", second)).holds == "open"


def test_the_interval_of_one_seed_is_that_of_a_paired_proportion():
    random = np.random.default_rng(1)
    first, second = random.random(2000) < 0.7, random.random(2000) < 0.6
    found = ordering(("a", [answers("a", 0, first)]), ("b", [answers("b", 0, second)]))
    difference = first.astype(float) - second
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert found.low == pytest.approx(100 * (difference.mean() - 1.96 * error), abs=0.3)
    assert found.high == pytest.approx(100 * (difference.mean() + 1.96 * error), abs=0.3)


def test_expressions_of_an_image_are_drawn_together():
    random = np.random.default_rng(2)
    first = random.random(200) < 0.7
    alone = ordering(("a", [answers("a", 0, first)]), ("b", [answers("b", 0, np.zeros(200))]))
    # every image ten times: no more is known, and the interval is as wide
    images = np.repeat(np.arange(200), 10)
    ten = ordering(
        ("a", [answers("a", 0, np.repeat(first, 10), images)]), ("b", [answers("b", 0, np.zeros(2000), images)])
    )
    assert ten.high - ten.low == pytest.approx(alone.high - alone.low, rel=0.1)


def test_what_cannot_be_paired_is_refused():
    one, two = answers("a", 0, [1, 0]), answers("b", 1, [1, 0])
    with pytest.raises(DataError, match="seeds are"):
        ordering(("a", [one]), ("b", [two]))
    with pytest.raises(DataError, match="answered other expressions"):
        ordering(("a", [one]), ("b", [answers("b", 0, [1, 0, 1])]))
