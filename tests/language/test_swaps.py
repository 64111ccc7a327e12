"""Phrases that contradict another phrase in one word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligncat.language.colours import COLOURS
from aligncat.language.swaps import swapped


def test_a_colour_is_swapped_for_every_other_colour() -> None:
    assert swapped("Red car!") == tuple(f"{color} car" for color in COLOURS if color != "red")
    assert swapped("grey car") == swapped("gray car")


@pytest.mark.parametrize(
    ("phrase", "others"),
    [
        ("left zebra", ["right zebra"]),
        ("car under the big tree", ["car above the big tree", "car over the big tree", "car under the small tree"]),
        ("dog in the middle", ["dog in the left", "dog in the right"]),
        ("zebra", []),
    ],
)
def test_one_word_differs(phrase: str, others: list[str]) -> None:
    found = swapped(phrase)
    assert set(others) <= set(found) and bool(found) == bool(others)
    for other in found:
        assert sum(a != b for a, b in zip(phrase.split(), other.split(), strict=True)) == 1


def test_a_swap_of_a_swap_leads_back() -> None:
    for phrase in ("red dog", "left dog", "big dog", "dog above it", "tall man", "an orange cat", "old man", "men"):
        assert all(phrase in swapped(other) for other in swapped(phrase))


@pytest.mark.parametrize(
    ("phrase", "others"),
    [
        # A fruit, and a fruit's place.
        ("orange on the left", {"orange on the right"}),
        ("the orange", set()),
        ("left orange", {"right orange"}),
        ("orange slice", set()),
        # Names of things, and words with another meaning.
        ("traffic light", set()),
        ("the light on the pole", set()),
        ("lamp with light bulb", set()),
        ("the pink top", {f"the {color} top" for color in COLOURS if color != "pink"}),
        ("tank top", set()),
        ("glass of red wine", set()),
        ("brown bear", set()),
        ("short hair", set()),
        ("old train", set()),
        ("five year old", set()),
        ("middle aged person", set()),
        ("person looking back", set()),
        ("bag on her back", set()),
        ("person leaning over", set()),
        ("person right next to dog", set()),
        ("food left on the plate", set()),
        ("in the middle of the road", set()),
        ("baseball player in right field", set()),
        # One man is not several women.
        ("man", {"woman", "lady"}),
        ("men", {"women", "ladies"}),
        ("the girls", {"the boys"}),
        # Shades.
        ("light colored dog", {"dark colored dog"}),
        ("dark dog", {"light dog"}),
        ("light blue", {f"light {color}" for color in COLOURS if color not in ("blue", "black", "white")}),
        # People have few colours.
        ("black guy", {"white guy", "black woman", "black lady"}),
        # Places.
        ("top left zebra", {"bottom left zebra", "top right zebra"}),
        ("zebra in back", {"zebra in front"}),
        ("old lady", {"young lady", "younger lady", "old man", "old guy"}),
        # Articles.
        ("a red or blue car", None),
        ("an old man", {"a young man", "a younger man", "an old woman", "an old lady"}),
    ],
)
def test_only_an_attribute_of_a_noun_is_swapped(phrase: str, others: set[str] | None) -> None:
    if others is None:
        assert "an orange or blue car" in swapped(phrase)
    else:
        assert set(swapped(phrase)) == others


@given(
    st.lists(
        st.sampled_from(["a", "an", "the", "orange", "light", "blue", "left", "top", "man", "old", "dog", "of", "2"])
    )
)
def test_any_phrase_is_swapped_into_other_phrases_of_as_many_words(words: list[str]) -> None:
    for other in swapped(" ".join(words)):
        assert other != " ".join(words)
        assert len(other.split()) == len(words)
