"""Pairs of words with a meaning of their own."""

from __future__ import annotations

import pytest

from aligncat.language.set_phrases import in_set_phrase


@pytest.mark.parametrize(
    ("phrase", "inside"),
    [
        ("the tank top", [False, True, True]),
        ("top tank", [False, False]),
        ("red wine glass", [True, True, False]),
        ("short sleeve black hair", [True, True, True, True]),
        ("light light bulb", [False, True, True]),
        ("top", [False]),
    ],
)
def test_each_word_is_inside_or_not(phrase: str, inside: list[bool]) -> None:
    words = phrase.split()
    assert [in_set_phrase(words, place) for place in range(len(words))] == inside
