"""What a phrase asks for, read by rules: a category, colours, places, sizes, and a place in an order.

Colours and sizes count up to the words that lead to another object ("with", "behind"). A place counts wherever it
stands, but not as part of a relation to another object ("left of the dog", "in front of the car"), which no rule reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from aligncat.datasets.lexicon import Lexicon
from aligncat.language.set_phrases import in_set_phrase
from aligncat.phrases.colours import COLOURS

PERSON = "person"
"""The category whose colours are those of the clothes."""
Aspect = Literal["left", "right", "top", "bottom", "middle", "near", "far", "big", "small", "tall", "short"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TOKEN = re.compile(r"[^\W_]+")
_NAMES: dict[Aspect, str] = {
    "left": "left leftmost",
    "right": "right rightmost",
    "top": "top topmost upper uppermost highest",
    "bottom": "bottom bottommost lower lowest",
    "middle": "middle center centre central centered",
    "near": "closest nearest closer nearer close front foreground frontmost",
    "far": "farthest furthest far back background rear distant",
    "big": "big bigger biggest large larger largest huge",
    "small": "small smaller smallest little tiny",
    "tall": "tall taller tallest",
    "short": "short shorter shortest",
}
_ASPECTS: dict[str, Aspect] = {word: aspect for aspect, words in _NAMES.items() for word in words.split()}
_SIZES = {"big", "small", "tall", "short"}
_ORDINALS = {
    word: rank
    for rank, words in enumerate(
        (
            *("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th", "seventh 7th"),
            *("eighth 8th", "ninth 9th", "tenth 10th"),
        )
    )
    for word in words.split()
}
_COLOURS = {name: name for name in COLOURS} | {
    "grey": "gray",
    "silver": "gray",
    "gold": "yellow",
    "golden": "yellow",
    "tan": "brown",
    "violet": "purple",
    "navy": "blue",
    "maroon": "red",
}
# After these words comes another object, or a part of this one.
_OTHERS = _words(
    "with near next behind beside besides holding under underneath beneath above below over between by against riding "
    "of that who which eating carrying pulling having has on in at wearing wears touching facing"
)
_WORN = _words("with in wearing wears")  # after a person come the clothes, whose colour is the person's here
_ARTICLES = _words("the a an this that its")
_VIEWERS = _words("camera cam viewer us you me screen photo picture image frame pic photographer front")
_TURNED = _words("looking facing turned turning pointing")
_PLACES = _words("on in at to side part corner edge end far most very the of")  # between an object and its place


@dataclass(frozen=True, slots=True)
class Asked:
    """What a phrase asks for.

    Attributes:
        category: the category of its object, as the lexicon reads it; None if it does not tell.
        colours: the names of colours, of `aligncat.phrases.colours.COLOURS`.
        aspects: places and sizes, in order and without duplicates.
        rank: the place in the order of the first aspect: 1 for "second from left", otherwise 0.
        colour_words: the words of the phrase that name these colours.
    """

    category: str | None
    colours: frozenset[str]
    aspects: tuple[Aspect, ...]
    rank: int
    colour_words: tuple[str, ...]


def asked_of(text: str, lexicon: Lexicon) -> Asked:
    """Return what a phrase asks for.

    Args:
        text: the phrase.
        lexicon: gives the category.
    """
    category = lexicon.category(text)
    words = _TOKEN.findall(text.lower())
    own = _own_words(words, clothed=category == PERSON)
    colours = [word for word in own if word in _COLOURS and not (word == "orange" and category == "orange")]
    aspects: list[Aspect] = []
    rank = 0
    for place, word in enumerate(words):
        aspect = _ASPECTS.get(word)
        if aspect is None or (aspect in _SIZES and place >= len(own)):
            continue
        if _is_relation(words, place) or _says_no_aspect(words, place):
            continue
        if not rank and (rank := _rank(words, place)):
            aspects.insert(0, aspect)
        else:
            aspects.append(aspect)
    return Asked(
        category,
        frozenset(_COLOURS[word] for word in colours),
        tuple(dict.fromkeys(aspects)),
        rank,
        tuple(dict.fromkeys(colours)),
    )


def _own_words(words: list[str], *, clothed: bool) -> list[str]:
    """Return the words up to those that lead to another object, after any place that comes first."""
    for place, word in enumerate(words):
        ends = word in _OTHERS and not (clothed and word in _WORN)
        if ends and any(before not in _ASPECTS and before not in _PLACES for before in words[:place]):
            return words[:place]
    return words


def _is_relation(words: list[str], place: int) -> bool:
    """Return whether a place is that of another object, as in "left of the dog" and "closest to the door"."""
    word, rest = words[place], words[place + 1 :]
    if word in ("close", "closest", "nearest", "closer", "nearer"):
        rest = rest[rest[:1] == ["to"] :]
        named = rest and rest[0] not in _ASPECTS
        return bool(named) and words[place + 1] == "to" and _VIEWERS.isdisjoint(rest[:3])
    if rest[:1] != ["of"]:
        return word == "back" and words[max(place - 1, 0)] in ("his", "her", "its", "their")
    following = [each for each in rest[1:3] if each not in _ARTICLES]
    return bool(following) and following[0] not in _VIEWERS


def _says_no_aspect(words: list[str], place: int) -> bool:
    """Return whether a word is no place or size of its own here: "far left", "looking right", "black or tank top"."""
    before = words[max(place - 3, 0) : place]
    last, following = before[-1:], words[place + 1 : place + 2]
    if words[place] == "far":
        return bool(following) and following[0] in _ASPECTS
    if in_set_phrase(words, place) or (words[place] == "top" and not _COLOURS.keys().isdisjoint(last)):
        return True
    return "not" in before or not _TURNED.isdisjoint(last) or following == ["handed"]


def _rank(words: list[str], place: int) -> int:
    """Return the rank before an aspect: 1 in "second from the left", "2nd dog from left" and "second biggest"."""
    before = words[max(place - 5, 0) : place]
    if before and before[-1] in _ORDINALS:
        return _ORDINALS[before[-1]]
    if "from" not in before[-2:]:
        return 0
    return next((_ORDINALS[word] for word in reversed(before) if word in _ORDINALS), 0)
