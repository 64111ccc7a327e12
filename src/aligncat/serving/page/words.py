"""The words of a phrase as they are written, with the weights of what a grounder reads in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

_Weights: TypeAlias = "tuple[tuple[str, float], ...]"


def whole_words(expression: str, weights: Sequence[tuple[str, float]]) -> _Weights:
    """Return the words of an expression as they are written, each with the sum of the weights of its parts.

    A grounder reads "t-shirt" as two words, and the pieces of other signs as words too. A word in which it reads
    nothing is left out.

    Args:
        expression: the expression.
        weights: (word, weight) pairs, `Grounding.word_weights`. They are returned as they are if they are not found
            in the expression in their order, such as the singular of a word.
    """
    left = list(reversed(weights))
    found = []
    for word in expression.split():
        rest, parts = word.casefold(), []
        while left and (after := _after(left[-1][0].casefold(), rest)) is not None:
            rest = after
            parts.append(left.pop()[1])
        if parts:
            found.append((word, min(1.0, sum(parts))))  # rounding can take a sum above 1
    return tuple(weights) if left else tuple(found)


def _after(part: str, text: str) -> str | None:
    """Return what follows a part that a text begins with, signs apart; None if it begins with other letters."""
    for character in part:
        before, there, text = text.partition(character)
        if not there or any(map(str.isalnum, before)):
            return None
    return text
