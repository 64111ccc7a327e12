"""Phrases that differ from another phrase in one attribute: another colour, side, size, relation, age or sex.

A word is swapped where it is an attribute of a noun and the new phrase makes sense: not in "an orange on the left", "a
traffic light", "a tank top", "looking back", "red wine" or "short hair".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aligncat.language.colours import COLOURS
from aligncat.language.set_phrases import in_set_phrase
from aligncat.language.tokens import RULE, tokenize, word_set

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
    (("man", "guy"), ("woman", "lady")),
    (("men", "guys"), ("women", "ladies")),
    (("boy",), ("girl",)),
    (("boys",), ("girls",)),
    (("dark",), ("light",)),
)


def _others() -> Mapping[str, tuple[str, ...]]:
    """Return word -> the words that contradict it."""
    others = {color: tuple(other for other in COLOURS if other != color) for color in COLOURS}
    others |= {spelling: others[color] for spelling, color in _SPELLINGS.items()}
    for one, other in _OPPOSITES:
        others |= dict.fromkeys(one, other) | dict.fromkeys(other, one)
    return others | {"middle": ("left", "right"), "center": ("left", "right"), "centre": ("left", "right")}


_OTHERS = _others()
_COLOR_WORDS = frozenset((*COLOURS, *_SPELLINGS))
_SHADES = ("dark", "light")

# Words that are no noun: after an attribute that must stand before a noun, they mean that it is none.
_NO_NOUNS = word_set(
    "of in on with w at by to from near behind beside besides between under over above below beneath underneath next "
    "against around along across through inside outside into onto for as like than that which who whose where while "
    "and or but is are was were be has have the a an this his her its their not closest nearest farthest facing "
    "sitting standing holding lying laying hanging"
)
_PLACES = word_set("left right top bottom middle center centre front back side corner edge far upper lower row most")
_BEFORE_PLACES = _PLACES | word_set("in on at the to from of very and near our your my towards toward by up facing is")
_PRONOUNS = word_set("his her its their my your our")
_PEOPLE = word_set(
    "man men woman women guy guys lady ladies boy boys girl girls person people child children kid kids couple "
    "gentleman gentlemen adult adults player fellow dude male female"
)
_ANIMALS = word_set("dog dogs cat cats horse horses cow cows elephant elephants giraffe zebra sheep bear bird")


def swapped(phrase: str) -> tuple[str, ...]:
    """Return all phrases that say another colour, side, size, relation, age or sex than a phrase, in one word.

    What the new phrase says contradicts the phrase, so it is false of the same object. It may be true of another one.
    "A" and "an" agree with the new word.

    Args:
        phrase: an expression.

    Returns:
        The phrases, in lower case and without punctuation; empty if no attribute has an opposite.
    """
    words = tokenize(phrase, RULE)
    found = []
    for place, word in enumerate(words):
        if word in _OTHERS and _is_attribute(words, place):
            found += [_replaced(words, place, other) for other in _OTHERS[word] if _fits(words, place, other)]
    return tuple(found)


def _replaced(words: Sequence[str], place: int, other: str) -> str:
    """Return the phrase with another word at a place, and its article."""
    before = list(words[:place])
    if before and before[-1] in ("a", "an"):
        before[-1] = "an" if other[0] in "aeiou" else "a"
    return " ".join([*before, other, *words[place + 1 :]])


def _fits(words: Sequence[str], place: int, other: str) -> bool:
    """Return whether another colour makes sense: no "light black" and no green man."""
    if words[place] not in _COLOR_WORDS:
        return True
    if place and words[place - 1] in _SHADES and other in ("black", "white"):
        return False
    following = words[place + 1] if place + 1 < len(words) else ""
    return following not in _PEOPLE or words[place] not in ("black", "white") or other in ("black", "white")


def _is_attribute(words: Sequence[str], place: int) -> bool:
    """Return whether the word at a place, which has an opposite, says something of a noun."""
    if in_set_phrase(words, place):
        return False
    word = words[place]
    before = words[place - 1] if place else ""
    after = words[place + 1] if place + 1 < len(words) else ""
    rule = _RULES.get(word)
    return rule is None or rule(before, after)


def _before_noun(before: str, after: str) -> bool:
    """Return whether a noun follows, as in "orange cat"; not "orange on the left"."""
    return bool(after) and after not in _NO_NOUNS and after not in _PLACES and not after.isdigit()


def _orange(before: str, after: str) -> bool:
    return _before_noun(before, after) or before in ("in", "wearing", "is", "all", "or", "bright", *_COLOR_WORDS)


def _shade(before: str, after: str) -> bool:
    """Return whether "light" or "dark" is a shade of a noun; "light blue" is a colour."""
    return _before_noun(before, after) and after not in _COLOR_WORDS


def _place(before: str, after: str) -> bool:
    """Return whether "top", "back" or "front" is a place: not in "pink top", "his back", "looking back"."""
    if before in _PRONOUNS or (before.endswith("ing") and before != "facing"):
        return False
    return not before or before in _BEFORE_PLACES or after in _PLACES or not after or after in ("of", "row")


def _top(before: str, after: str) -> bool:
    """Return whether "top" or "bottom" is a place: "zebra top left", but not "pink top"."""
    return _place(before, after) and (not before or before in _BEFORE_PLACES or after in _PLACES)


def _side(before: str, after: str) -> bool:
    """Return whether "left" or "right" is a side: not in "right next to" or "food left on a plate"."""
    is_named = before in ("the", "on", "to", "at", "from", "far", "top", "bottom", "upper", "lower")
    if not is_named and after in ("next", "behind", "above", "below", "beside", "under", "near", "there", "here"):
        return False
    return before not in ("is", "was", "has", "been", "all", "food", "nothing")


def _over(before: str, after: str) -> bool:
    """Return whether "over" is a place: not in "leaning over"."""
    return not before.endswith(("ing", "ed")) and bool(after)


def _age(before: str, after: str) -> bool:
    """Return whether an age is that of somebody: "old man", not "old train"."""
    return after in _PEOPLE or after in _ANIMALS or not after


def _middle(before: str, after: str) -> bool:
    """Return whether a side can stand there: not in "the middle of the road"."""
    return after != "of"


_RULES = {
    **{"orange": _orange, "light": _shade, "dark": _shade, "over": _over},
    **dict.fromkeys(("front", "back"), _place),
    **dict.fromkeys(("top", "bottom"), _top),
    **dict.fromkeys(("left", "right"), _side),
    **dict.fromkeys(("old", "older", "young", "younger"), _age),
    **dict.fromkeys(("middle", "center", "centre"), _middle),
}
