from __future__ import annotations

import math

import pytest
from helpers.report_figures import MakeAnswers

from aligncat.errors import DataError
from aligncat.report.figures.choosing import UNRECORDED, differing, most_uneven, typical_failures, unevenness


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.5, 0.5], 0),
        ([1.0, 0.0, 0.0], 1),
        ([0.25] * 4, 0),
        ([1.0], 0),
        ([], 0),
        ([0.75, 0.25], 1 + (0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))),
    ],
)
def test_unevenness_matches_a_hand_calculation(weights: list[float], expected: float) -> None:
    assert unevenness(weights) == pytest.approx(expected)


def test_the_most_uneven_right_answers_of_each_kind_come_first(make_answers: MakeAnswers) -> None:
    answers = make_answers(
        [
            {"words": ["a", "b"], "word_weights": [0.6, 0.4]},
            {"words": ["a", "c"], "word_weights": [0.9, 0.1]},
            {"words": ["a", "c"], "word_weights": [0.8, 0.2]},  # the same words as a more uneven one
            {"words": ["a", "d"], "word_weights": [1.0, 0.0], "right": False},
            {"words": ["a"], "word_weights": [1.0]},
            {"words": ["a", "e"], "word_weights": [0.6, 0.4]},  # as uneven as the first, but with a later id
            {"words": ["f", "g"], "word_weights": [0.7, 0.3], "kind": None},
            {"words": [], "word_weights": [], "kind": "size"},
        ]
    )

    assert most_uneven(answers, 2) == {"color": [1, 0], UNRECORDED: [6]}


def test_patterns_of_differing_expressions_take_turns(make_answers: MakeAnswers) -> None:
    first = make_answers([{"right": r} for r in (True, True, True, False, True, False)])
    second = make_answers([{"right": r} for r in (True, False, False, True, False, False)], config="QueryMatch")

    found = differing([first, second], 10)

    assert sorted(rows[0] for _, rows in found) == [1, 2, 3, 4]
    assert [alike for alike, _ in found] == [3, 1, 3, 3]
    assert found[1] == (1, (3, 3))
    assert differing([first, second], 2) == found[:2]


def test_each_image_occurs_once(make_answers: MakeAnswers) -> None:
    rows = [{"image_id": "same"}] * 3
    first, second = make_answers(rows), make_answers([{**row, "right": False} for row in rows])

    assert len(differing([first, second], 10)) == 1


def test_expressions_are_matched_by_id(make_answers: MakeAnswers) -> None:
    first = make_answers([{}, {}, {}])
    second = make_answers([{"right": False}, {}, {}])
    turned = type(second)(second.result, second.labels, {}, second.table.take([2, 0]))

    assert differing([first, turned], 10) == [(1, (0, 1))]


def test_two_expressions_with_one_id_are_an_error(make_answers: MakeAnswers) -> None:
    with pytest.raises(DataError, match="e000"):
        differing([make_answers([{}]), make_answers([{"text": "another"}])], 1)


def test_the_typical_failure_has_the_median_probability(make_answers: MakeAnswers) -> None:
    wrong = {"right": False}
    answers = make_answers(
        [
            {**wrong, "score": 0.9},
            {**wrong, "score": 0.5},
            {**wrong, "score": 0.1},
            {**wrong, "score": 0.4, "cause": "poor_mask"},
            {**wrong, "score": 0.3, "cause": "poor_mask"},
            {"score": 0.2},
        ]
    )

    found = typical_failures(answers.table)

    assert found == {"poor_mask": (2, 4), "wrong_object": (3, 1)}
    assert list(found) == ["poor_mask", "wrong_object"]
