"""The checker of version 2, on a scene small enough to check by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.checker_version2 import Meaning, Parser, Thing, distance, fitting, holds, spelling_errors

CAR = Thing(1, "car", ("car",), "red", "striped", frozenset(), frozenset(), None, (0.2, 0.5), 0.33)
BLUE = replace(CAR, ann_id=2, color="blue", texture="plain", center=(0.4, 0.5), extent=0.21)
PLAIN = replace(CAR, ann_id=3, color=None, texture=None, center=(0.9, 0.5), extent=0.27)
COP = Thing(
    *(4, "person", ("police officer", "man"), "blue", None, frozenset({"cap"}), frozenset(), None, (0.2, 0.2), 0.2)
)
RUNNER = replace(COP, ann_id=5, wears=frozenset(), may_wear=frozenset({"beard"}), does="running", center=(0.6, 0.8))
SCENE = [CAR, BLUE, PLAIN, COP, RUNNER]
CLOTHED = {"color": "blue", "texture": "checkered", "clothes": "hat"}
COUNTED = {"size": "small", "color": "brown", "order": "1 right"}
PARSER = Parser(["car", "man", "police officer", "old man", "orange", "shirt and tie", "brush"])


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        ("stripy red car", Meaning("car", {"texture": "striped", "color": "red"})),
        ("red polka dot car", Meaning("car", {"texture": "spotted", "color": "red"})),
        ("tiny car with checks", Meaning("car", {"size": "small", "texture": "checkered"})),
        ("man in a green top at top", Meaning("man", {"color": "green", "place": "top"})),
        ("man in plaid blue shirt with hat", Meaning("man", CLOTHED)),
        ("running man with specs", Meaning("man", {"action": "running", "clothes": "glasses"})),
        ("man with arms up on left side", Meaning("man", {"action": "holding up both arms", "place": "left"})),
        ("second car from left", Meaning("car", {"order": "2 left"})),
        ("the little man in brown that is 1st from the right", Meaning("man", COUNTED)),
        ("rightmost car by man", Meaning("car", {"order": "1 right", "relation": "next to"}, "man")),
        ("far left car", Meaning("car", {"order": "1 left"})),
        ("left car", Meaning("car", {"place": "left"})),
        ("an orange in the lower left corner", Meaning("orange", {"place": "bottom left"})),
        ("orange orange on the left of the car", Meaning("orange", {"color": "orange", "relation": "left of"}, "car")),
        ("the white shirt and tie", Meaning("shirt and tie", {"color": "white"})),
        ("man holding a brush", Meaning("man", {"clothes": "brush"})),
    ],
)
def test_a_sentence_is_parsed_completely(sentence: str, meaning: Meaning) -> None:
    assert PARSER.parse(sentence) == meaning


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "car car",
        "second car",
        "car from left",
        "red car with",
        "left car on right",
        "striped car with dots",
        "man a",
    ],
)
def test_a_sentence_outside_the_language_is_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|twice|rank"):
        PARSER.parse(sentence)


@pytest.mark.parametrize(
    ("sentence", "fits"),
    [
        ("red car", [1]),
        ("large car", [1]),  # 0.33 exactly
        ("small car", [2]),  # 0.21 exactly
        ("leftmost car", [1]),
        ("second car from the left", [2]),
        ("second blue car from the left", [-1, 2]),  # the second car is blue, but there is no second blue car
        ("first blue car from the left", [-1, 2]),  # or the other way round
        ("man with cap", [4]),
        ("man running", [5]),
        ("car next to the police officer", []),  # two people are called that
        ("officer", [4, 5]),  # the last word of a longer noun
    ],
)
def test_a_sentence_fits_the_right_objects(sentence: str, fits: list[int]) -> None:
    meaning = Parser(["car", "man", "police officer", "officer"]).parse(sentence)
    if meaning.anchor is not None:
        with pytest.raises(ValueError, match="2 objects where there should be one"):
            fitting(meaning, SCENE)
    else:
        assert fitting(meaning, SCENE) == fits


@pytest.mark.parametrize(
    ("kind", "value", "thing", "strict", "lenient"),
    [
        ("color", "red", PLAIN, False, True),
        ("texture", "spotted", PLAIN, False, True),
        ("texture", "spotted", BLUE, False, False),
        ("size", "big", PLAIN, False, True),  # 0.27 is 0.33 - 0.06
        ("clothes", "hat", COP, False, True),  # a cap might be called a hat
        ("clothes", "beard", RUNNER, False, True),  # it may be hidden
        ("clothes", "glasses", COP, False, False),
        ("action", "walking", RUNNER, False, True),
        ("action", "standing", COP, False, True),
        ("place", "bottom right", RUNNER, False, True),  # x 0.6, y 0.8
    ],
)
def test_the_strict_and_the_lenient_reading(kind: str, value: str, thing: Thing, strict: bool, lenient: bool) -> None:
    assert holds(kind, value, thing, None, lenient=False) == strict
    assert holds(kind, value, thing, None, lenient=True) == lenient


def test_the_distance_of_spellings() -> None:
    assert [distance("left", other) for other in ("left", "lef", "elft", "loft", "leftt", "right")] == [
        0,
        1,
        1,
        1,
        1,
        4,
    ]


def test_a_misspelling_must_be_one_word_and_have_one_correction() -> None:
    vocabulary = {"left", "cat", "car", "bat"}
    assert not spelling_errors({"sent": "left cat"}, vocabulary)
    assert not spelling_errors({"sent": "lfet cat", "correct": "left cat"}, vocabulary)
    assert spelling_errors({"sent": "lfet caat", "correct": "left cat"}, vocabulary)
    assert spelling_errors({"sent": "left cab", "correct": "left cat"}, vocabulary)
