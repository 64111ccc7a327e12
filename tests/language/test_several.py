"""Which phrases mean several objects, and the phrase for one of them."""

from __future__ import annotations

import pytest

from aligncat.language.several import several_of, singular_of


@pytest.mark.parametrize(
    ("phrase", "one", "count"),
    [
        ("both dogs", "dog", 2),
        ("The zebras", "zebra", None),
        ("two red cars on the left", "red car on the left", 2),
        ("zebras left", "zebra left", None),
        ("left two elephants closest", "left elephant closest", 2),
        ("a pair of dogs", "dog", 2),
        ("all of the cars", "car", None),
        ("a group of people standing", "person standing", None),
        ("both sheep", "sheep", 2),
        ("3 sheep in the back", "sheep in the back", 3),
        ("dogs running", "dog running", None),
        ("women in red shirts", "woman in red shirts", None),
        ("each giraffe", "giraffe", None),
        ("buses", "bus", None),
        ("kitties on top", "kitty on top", None),
        ("two scissors", "scissors", 2),
        ("two pairs of scissors", "pair of scissors", 2),
        ("both glasses", "glass", 2),
        ("three glasses of wine", "glass of wine", 3),
        ("a few apples", "apple", None),
        ("a pair of shoes", "shoe", 2),
        ("people", "person", None),
        ("wine glasses", "wine glass", None),
        ("empty beer glasses on the left", "empty beer glass on the left", None),
        ("tvs", "tv", None),
        ("left tvs", "left tv", None),
        ("zebras 2", "zebra", 2),
        ("red cars 3 on the left", "red car on the left", 3),
        ("three bananas", "banana", 3),
        ("all bananas", "banana", None),
        ("both ears", "ear", 2),
        ("black shoes", "black shoe", None),
        ("dogs to the left of the buses", "dog to the left of the buses", None),
    ],
)
def test_a_phrase_for_several(phrase: str, one: str, count: int | None) -> None:
    found = several_of(phrase)
    assert found is not None and (found.one, found.count) == (one, count)


@pytest.mark.parametrize(
    ("phrase", "alone"),
    [
        *(("people", True), ("both dogs", True), ("all the wine glasses", True), ("three bananas", True)),
        *(("each giraffe", True), ("a pair of shoes", True), ("men", True), ("zebras 2", True)),
        *(("red cars", False), ("left tvs", False), ("the old women", False), ("dogs running", False)),
        *(
            ("nearest cows", False),
            ("far dogs", False),
            ("dark cars", False),
            ("silver cars", False),
            ("only the tall men", False),
        ),
        *(("two women", True), ("teddy bears", True), ("light bulbs", True), ("street lights", True)),
        *(("women in red shirts", False), ("kitties on top", False), ("empty beer glasses on the left", False)),
    ],
)
def test_a_noun_alone_means_all_its_objects(phrase: str, alone: bool) -> None:
    found = several_of(phrase)
    assert found is not None and found.alone == alone


@pytest.mark.parametrize(
    "phrase",
    [
        *("the zebra", "bus", "sheep", "man in jeans", "man with glasses", "one of the zebras", "glasses guy"),
        *("two tone car", "tennis player", "girls hand", "both", "skis", "person left of the dogs", "cat and dogs"),
        *("a pair of scissors", "pair of skis", "pair of glasses", "a pair of jeans", "glasses", "scissors", "pants"),
        *("bunch of bananas", "a bunch of flowers in a vase", "stairs", "left stairs", "bleachers in back"),
        *("zebras butt", "zebras butt left", "elephants ears", "girls legs on the right", "the cows horns"),
        *("player 2", "bus 2", "glasses on the table", "mans glasses", "black sweatpants"),
        *("the dress", "number 2 player", "on the left", "none of the dogs"),
    ],
)
def test_a_phrase_for_one(phrase: str) -> None:
    assert several_of(phrase) is None


@pytest.mark.parametrize(
    ("noun", "singular"),
    [
        *(("people", "person"), ("dogs", "dog"), ("boxes", "box"), ("benches", "bench"), ("puppies", "puppy")),
        *(("horses", "horse"), ("ties", "tie"), ("glasses", None), ("bus", None), ("grass", None), ("dog", None)),
        *(("tennis", None), ("gas", None), ("2s", None)),
    ],
)
def test_the_singular_of_a_noun(noun: str, singular: str | None) -> None:
    assert singular_of(noun) == singular
