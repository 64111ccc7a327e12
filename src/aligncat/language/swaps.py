"""Phrases that differ from another phrase in one attribute word: another colour, side, size, relation or sex."""

from __future__ import annotations

from collections.abc import Mapping

from aligncat.language.tokens import RULE, tokenize

COLORS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
_SPELLINGS = {"grey": "gray"}
_OPPOSITES = (
    (("left",), ("right",)),
    (("leftmost",), ("rightmost",)),
    (("top",), ("bottom",)),
    (("upper",), ("lower",)),
    (("above", "over"), ("below", "under", "beneath", "underneath")),
    (("front",), ("back",)),
    (("big", "large", "huge", "biggest", "largest"), ("small", "little", "tiny", "smallest", "littlest")),
    (("bigger", "larger"), ("smaller",)),
    (("tall",), ("short",)),
    (("old", "older"), ("young", "younger")),
    (("man", "guy", "men"), ("woman", "lady", "women")),
    (("boy",), ("girl",)),
    (("dark",), ("light",)),
)


def _others() -> Mapping[str, tuple[str, ...]]:
    """Return word -> the words that contradict it."""
    others = {color: tuple(other for other in COLORS if other != color) for color in COLORS}
    others |= {spelling: others[color] for spelling, color in _SPELLINGS.items()}
    for one, other in _OPPOSITES:
        others |= dict.fromkeys(one, other) | dict.fromkeys(other, one)
    return others | {"middle": ("left", "right"), "center": ("left", "right"), "centre": ("left", "right")}


_OTHERS = _others()


def swapped(phrase: str) -> tuple[str, ...]:
    """Return all phrases that say another colour, side, size, relation or sex than a phrase, in one word.

    What the new phrase says contradicts the phrase, so it is false of the same object. It may be true of another one.

    Args:
        phrase: an expression.

    Returns:
        The phrases, in lower case and without punctuation; empty if no word has an opposite.
    """
    words = tokenize(phrase, RULE)
    return tuple(
        " ".join([*words[:place], other, *words[place + 1 :]])
        for place, word in enumerate(words)
        for other in _OTHERS.get(word, ())
    )
