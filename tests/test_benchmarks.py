"""What a benchmark says rests on is right; that it runs is for whoever runs it."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.mark.parametrize(
    ("phrase", "sorted_as"),
    [
        ("left man in red shirt", ["place", "first noun", "function", "color", "function"]),
        ("big blue car left of bus", ["size", "color", "first noun", "relation", "function", "second noun"]),
        ("orange on left", ["first noun", "function", "place"]),
        ("orange cup near the orange", ["color", "first noun", "relation", "function", "second noun"]),
        ("woman wearing orange", ["first noun", "function", "color"]),
        ("dog to the right of cat", ["first noun", "function", "function", "relation", "function", "second noun"]),
        ("a cat at the top of the picture", ["function", "first noun", *["function"] * 2, "place", *["function"] * 3]),
    ],
)
def test_words_are_sorted_by_what_they_say(phrase: str, sorted_as: list[str]) -> None:
    sorts = runpy.run_path(str(BENCHMARKS / "word_weights.py"))["sorts"]
    assert list(sorts(phrase.split())) == sorted_as
