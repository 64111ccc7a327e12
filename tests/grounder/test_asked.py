"""What the rules of the training-free grounder read in a phrase."""

from __future__ import annotations

import pytest

from aligncat.datasets.lexicon import Lexicon
from aligncat.grounder.asked import asked_of

LEXICON = Lexicon.load()


@pytest.mark.parametrize(
    ("phrase", "aspects", "rank"),
    [
        ("the dog", (), 0),
        ("left dog", ("left",), 0),
        ("the dog on the far right", ("right",), 0),
        ("the dog far away on the right", ("far", "right"), 0),
        ("man looking left", (), 0),
        ("dog not on the left", (), 0),
        ("short haired dog on the right", ("right",), 0),
        ("right handed player", (), 0),
        ("man with the black top", (), 0),
        ("woman in a tank top", (), 0),
        ("man in short shorts", (), 0),
        ("little league player on the left", ("left",), 0),
        ("back pack on the right", ("right",), 0),
        ("middle aged man", (), 0),
        ("top bunk", ("top",), 0),
        ("top left cup", ("top", "left"), 0),
        ("upper-left cup", ("top", "left"), 0),
        ("leftmost zebra", ("left",), 0),
        ("second from left", ("left",), 1),
        ("second zebra from the left", ("left",), 1),
        ("third dog from right", ("right",), 2),
        ("2nd largest boat", ("big",), 1),
        ("big cup, second from the left", ("left", "big"), 1),
        ("person in the middle", ("middle",), 0),
        ("zebra in the center of the photo", ("middle",), 0),
        ("man in front", ("near",), 0),
        ("closest car", ("near",), 0),
        ("car closest to the camera", ("near",), 0),
        ("umbrella close to us", ("near",), 0),
        ("bus in the background", ("far",), 0),
        ("the biggest elephant", ("big",), 0),
        ("little girl", ("small",), 0),
        ("tallest man", ("tall",), 0),
        # Another object's place is none of its own.
        ("chair closest to the door", (), 0),
        ("dog left of the cat", (), 0),
        ("dog to the right of the cat", (), 0),
        ("car in front of the house", (), 0),
        ("cup next to the big bottle", (), 0),
        ("right dog left of the cat", ("right",), 0),
        ("dog on the left of the picture", ("left",), 0),
        ("", (), 0),
        ("!!", (), 0),
    ],
)
def test_places_sizes_and_orders(phrase: str, aspects: tuple[str, ...], rank: int) -> None:
    asked = asked_of(phrase, LEXICON)
    assert (asked.aspects, asked.rank) == (aspects, rank)


@pytest.mark.parametrize(
    ("phrase", "category", "colours"),
    [
        ("red car", "car", {"red"}),
        ("grey cat", "cat", {"gray"}),
        ("black and white cow", "cow", {"black", "white"}),
        ("woman in red", "person", {"red"}),
        ("man wearing a blue shirt", "person", {"blue"}),
        ("cup with a red handle", "cup", set()),
        ("dog next to the red car", "dog", set()),
        ("an orange", "orange", set()),
        ("orange car", "car", {"orange"}),
        ("something odd", None, set()),
        ("on the left the red bus", "bus", {"red"}),
    ],
)
def test_categories_and_colours(phrase: str, category: str | None, colours: set[str]) -> None:
    asked = asked_of(phrase, LEXICON)
    assert (asked.category, asked.colours) == (category, colours)


def test_a_detectors_own_categories_are_known_by_their_names() -> None:
    lexicon = Lexicon.load(categories=["valve", "chain"])
    texts = ("red valve", "left chains", "left chair", "person driving a chain", "dog")
    assert [asked_of(text, lexicon).category for text in texts] == ["valve", "chain", "chair", "person", "dog"]
