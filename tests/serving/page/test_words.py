"""The weights of words as they are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligncat.language.tokens import FIRST_RULE, RULE, tokenize
from aligncat.serving.page.words import whole_words


@pytest.mark.parametrize(
    ("expression", "parts", "expected"),
    [
        ("Red dog", [("red", 0.25), ("dog", 0.75)], [("Red", 0.25), ("dog", 0.75)]),
        ("the t-shirt.", [("the", 0.25), ("t", 0.25), ("shirt", 0.5)], [("the", 0.25), ("t-shirt.", 0.75)]),
        (
            "<b>cat</b> & \N{CJK UNIFIED IDEOGRAPH-732B}",
            [("<b>cat<", 0.25), ("b>", 0.25), ("&", 0.25), ("\N{CJK UNIFIED IDEOGRAPH-732B}", 0.25)],
            [("<b>cat</b>", 0.5), ("&", 0.25), ("\N{CJK UNIFIED IDEOGRAPH-732B}", 0.25)],
        ),
        ("man's ... hat", [("mans", 0.5), ("hat", 0.5)], [("man's", 0.5), ("hat", 0.5)]),
        ("a a", [("a", 0.25), ("a", 0.75)], [("a", 0.25), ("a", 0.75)]),
        ("a long phrase that was cut", [("a", 0.5), ("long", 0.5)], [("a", 0.5), ("long", 0.5)]),
        ("both dogs", [("dog", 1.0)], [("dogs", 1.0)]),
        ("both men", [("man", 1.0)], [("man", 1.0)]),
        ("three trees", [("tree", 1.0)], [("trees", 1.0)]),  # "three" has the letters of "tree" in order
        ("red dog", [], []),
    ],
)
def test_a_word_has_the_weights_of_its_parts(
    expression: str, parts: list[tuple[str, float]], expected: list[tuple[str, float]]
) -> None:
    assert whole_words(expression, parts) == tuple(expected)


@pytest.mark.parametrize("rule", [FIRST_RULE, RULE])
@given(expression=st.text(alphabet=st.sampled_from("aB9ß'-/.;_()&\u0130\u03a3\u2019\u2026\u732b \t\n")))
def test_the_words_are_those_between_spaces_in_which_something_is_read(rule: int, expression: str) -> None:
    parts = [(word, 2.0**-number) for number, word in enumerate(tokenize(expression, rule), 2)]
    found = whole_words(expression, parts)
    assert [word for word, _ in found] == [word for word in expression.split() if tokenize(word, rule)]
    assert math.fsum(weight for _, weight in found) == pytest.approx(math.fsum(weight for _, weight in parts))
