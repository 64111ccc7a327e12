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
        ("wait...what", ["waitwhat"]),
        ("under_score & café", ["under_score", "&", "café"]),
        ("", []),
    ],
)
def test_the_rules_of_querymatch(text: str, words: list[str]) -> None:
    assert tokenize(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Left Cat", ["left", "cat"]),
        ("the man's hat, (far) right!", ["the", "mans", "hat", "far", "right"]),
        ("blue-green t-shirt/jacket", ["blue", "green", "t", "shirt", "jacket"]),
        ("#2 at 3:40", ["2", "at", "340"]),
        ("dog;left", ["dog", "left"]),
        ("dog\u2026left", ["dog", "left"]),
        ("dog\u2014the left one", ["dog", "the", "left", "one"]),
        ("2\u20133 o\u2011clock", ["2", "3", "o", "clock"]),
        ("left_dog", ["left", "dog"]),
        ("the man\u2019s \u2018big\u2019 \u201cred\u201d hat", ["the", "mans", "big", "red", "hat"]),
        (".,'!?\"()*#:;", []),
        ("\u2014 \u2026 _ \u2019 \u201c\u201d", []),
        ("café & crème", ["café", "&", "crème"]),
        ("wait...what, a dog..", ["wait", "what", "a", "dog"]),
        ("the U.S. flag, 3.5 m", ["the", "us", "flag", "35", "m"]),  # single full stops are removed, as in rule 1
    ],
)
def test_the_rules_of_new_grounders(text: str, words: list[str]) -> None:
    assert tokenize(text, 2) == words
