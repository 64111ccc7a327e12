from __future__ import annotations

import pytest

from aligncat.language.tokens import tokenize


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Left Cat", ["left", "cat"]),
        ("the man's hat, (far) right!", ["the", "mans", "hat", "far", "right"]),
        ("blue-green t-shirt/jacket", ["blue", "green", "t", "shirt", "jacket"]),
        (".,'!?\"()*#:;", []),
        ("  two \t spaces\n", ["two", "spaces"]),
        ("#2 at 3:40", ["2", "at", "340"]),
        ("under_score & café", ["under_score", "&", "café"]),
        ("", []),
    ],
)
def test_the_rules_of_querymatch(text: str, words: list[str]) -> None:
    assert tokenize(text) == words
