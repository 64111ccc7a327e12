"""Phrases that contradict another phrase in one word."""

from __future__ import annotations

import pytest

from aligncat.language.swaps import COLORS, swapped


def test_a_colour_is_swapped_for_every_other_colour() -> None:
    assert swapped("Red car!") == tuple(f"{color} car" for color in COLORS if color != "red")
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
    for phrase in ("red dog", "left dog", "big dog", "dog above it", "tall man"):
        assert all(phrase in swapped(other) for other in swapped(phrase))
