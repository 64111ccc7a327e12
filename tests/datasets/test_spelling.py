"""Corrections of misspelt words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligncat.datasets.spelling import Spelling, distance


@pytest.mark.parametrize(
    ("one", "other", "slips"),
    [
        *(("zebra", "zebra", 0), ("zerba", "zebra", 1), ("zbra", "zebra", 1), ("zebbra", "zebra", 1)),
        *(("zabra", "zebra", 1), ("girafe", "giraffee", 2), ("", "cat", 3), ("ca", "abc", 3)),
    ],
)
def test_the_distance_of_two_words(one: str, other: str, slips: int) -> None:
    assert distance(one, other) == distance(other, one) == slips


def _edit_distance(one: str, other: str) -> int:
    """The distance by its recursive definition."""
    if not one or not other:
        return len(one) + len(other)
    best = min(
        _edit_distance(one[1:], other) + 1,
        _edit_distance(one, other[1:]) + 1,
        _edit_distance(one[1:], other[1:]) + (one[0] != other[0]),
    )
    if len(one) > 1 and len(other) > 1 and one[0] == other[1] and one[1] == other[0]:
        best = min(best, _edit_distance(one[2:], other[2:]) + 1)
    return best


@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_the_distance_follows_its_definition(one: str, other: str) -> None:
    assert distance(one, other) == _edit_distance(one, other)


@pytest.mark.parametrize(
    ("word", "corrected"),
    [
        ("zerba", "zebra"),
        ("forkliftt", "forklift"),
        ("forclift", "forklift"),
        ("forcleft", "forklift"),  # two slips of a long word
        ("zarbo", "zarbo"),  # two slips of a short one
        ("gorklift", "forklift"),  # another first letter
        ("febra", "febra"),
        ("zebro", "zebro"),  # a real word
        ("coats", "coats"),  # as near to "boats" as to "goats"
        ("womn", "woman"),
        ("kat", "kat"),
        ("cta", "cta"),
        ("zebra7", "zebra7"),
        ("z" * 10_000, "z" * 10_000),
    ],
)
def test_a_word_is_corrected_if_its_meaning_is_clear(word: str, corrected: str) -> None:
    meanings = {"zebra": "zebra", "forklift": "forklift", "cat": "cat", "women": "person", "boats": "boat"}
    spelling = Spelling(meanings | {"goats": "sheep", "woman": "person"}, {"zebro"})
    assert spelling.corrected(word) == spelling.corrected(word) == corrected
