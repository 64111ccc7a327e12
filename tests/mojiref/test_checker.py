"""The checker itself, on a scene small enough to check by hand."""

from __future__ import annotations

import pytest
from helpers.checker import AnnotatedObject, Meaning, Parser, fits, possible_kinds, the_only

# Three cars in a row (red, blue, no clear colour), a small man above the red car, and a big dog at the bottom right.
RED = AnnotatedObject(1, "car", ("car",), "red", (0.2, 0.5), 0.30)
BLUE = AnnotatedObject(2, "car", ("car",), "blue", (0.55, 0.5), 0.26)
PLAIN = AnnotatedObject(3, "car", ("car",), None, (0.8, 0.5), 0.20)
MAN = AnnotatedObject(4, "person", ("man", "old man"), "green", (0.2, 0.2), 0.21)
DOG = AnnotatedObject(5, "dog", ("dog",), "orange", (0.85, 0.75), 0.40)
SCENE = [RED, BLUE, PLAIN, MAN, DOG]
PARSER = Parser(["car", "man", "old man", "dog", "hot dog", "orange fruit"])


@pytest.mark.parametrize(
    ("sentence", "strict", "lenient"),
    [
        ("car", [1, 2, 3], [1, 2, 3]),
        ("left car", [1], [1]),
        ("car on the right", [3], [2, 3]),  # the blue car's 0.55 is exactly 0.62 - 0.07
        ("car in middle", [2], [2]),
        ("red car", [1], [1, 3]),  # an object without a clear colour might be called any colour
        ("large car", [], []),
        ("little car", [2, 3], [1, 2, 3]),
        ("small man in green", [4], [4]),
        ("old man at the top", [4], [4]),
        ("the car that is below the man", [1], [1]),
        ("a car next to the dog", [3], [2, 3]),  # 0.26 and 0.39 away
        ("car to the left of the dog", [1], [1, 2]),  # the blue one is 0.30 to the left and 0.25 above
        ("dog under the man", [], []),
        ("the dog at the bottom of the picture", [5], [5]),
    ],
)
def test_a_phrase_fits_the_right_objects_in_both_readings(sentence: str, strict: list[int], lenient: list[int]) -> None:
    meaning = PARSER.parse(sentence)
    assert [thing.ann_id for thing in SCENE if fits(meaning, thing, SCENE)] == strict
    assert [thing.ann_id for thing in SCENE if fits(meaning, thing, SCENE, wider=0.07 + 1e-9)] == lenient


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        ("orange orange fruit", Meaning("orange fruit", color="orange")),
        ("orange fruit", Meaning("orange fruit")),
        ("hot dog", Meaning("hot dog")),
        ("left small man in red", Meaning("man", color="red", size="small", place="left")),
        ("man wearing blue on bottom", Meaning("man", color="blue", place="bottom")),
        (
            "the large old man in red shirt on the left side of the picture that is to the right of the hot dog",
            Meaning("old man", "red", "big", "left", "right of", "hot dog"),
        ),
    ],
)
def test_a_sentence_is_parsed_completely(sentence: str, meaning: Meaning) -> None:
    assert PARSER.parse(sentence) == meaning


@pytest.mark.parametrize(
    "sentence", ["", "giraffe", "car car", "left car on right", "red man in red", "car next to", "red", "a the car"]
)
def test_a_sentence_outside_the_language_is_refused(sentence: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read|twice"):
        PARSER.parse(sentence)


def test_the_anchor_of_a_relation_must_be_one_object() -> None:
    with pytest.raises(ValueError, match="3 objects where there should be one"):
        fits(PARSER.parse("dog near the car"), DOG, SCENE)
    with pytest.raises(ValueError, match="0 objects"):
        the_only([])


def test_possible_kinds() -> None:
    assert possible_kinds(RED, SCENE) == {"color", "place", "relation"}  # the man is the only object of his category
    assert possible_kinds(PLAIN, SCENE) == {"size", "place", "relation"}
    assert possible_kinds(MAN, [RED, BLUE, MAN]) == {"color", "size", "place"}
