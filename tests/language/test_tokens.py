from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligncat.language.tokens import FIRST_RULE, RULE, as_written, tokenize


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


@pytest.mark.parametrize(
    ("text", "rule", "written"),
    [
        ("<b>cat</b>", RULE, ["<b>cat</b>"]),
        ("the <b>cat</b>, asleep", RULE, ["the", "<b>cat</b>", "asleep"]),
        ("The Wombat\u2019s dog!", RULE, ["The", "Wombat\u2019s", "dog"]),
        ("(U.S.) flag", FIRST_RULE, ["U.S", "flag"]),
        ("blue-green cup", RULE, ["blue", "green", "cup"]),
        ("unicorn\u2014unicorn, left", RULE, ["unicorn", "left"]),
        ("a\u2014b", FIRST_RULE, ["a\u2014b"]),
        ("\u2014 b", FIRST_RULE, ["\u2014", "b"]),
    ],
)
def test_words_are_named_as_they_are_written(text: str, rule: int, written: list[str]) -> None:
    assert as_written(text, tokenize(text, rule)) == tuple(written)


def test_a_word_that_the_text_lacks_is_named_itself() -> None:
    assert as_written("both dogs", ["dog"]) == ("dog",)


@given(st.text(max_size=30), st.sampled_from([FIRST_RULE, RULE]))
def test_what_is_named_is_in_the_text(text: str, rule: int) -> None:
    for word in tokenize(text, rule):
        [written] = as_written(text, [word])
        assert written and (written in text or written == word)
