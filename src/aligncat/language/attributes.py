"""The colours, places and sizes that a phrase gives its object: "red", "second from the right", "biggest".

A place counts wherever it stands, but not as part of a relation to another object ("left of the dog", "in front of the
car").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal, NamedTuple

from aligncat.language.colours import COLOUR_OF
from aligncat.language.set_phrases import in_set_phrase

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
ASPECTS: dict[str, Aspect] = {word: aspect for aspect, words in _NAMES.items() for word in words.split()}
"""The words for places and sizes."""
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
_OUTERMOST = _words("leftmost rightmost topmost bottommost uppermost highest lowest")
_FAR = _words("far farthest furthest extreme most")
_LINKS = _words("to on the at")  # between a rank and its place: "second on the left", "furthest to the right"
_GROUPS = _words("two three four five all them these those group row")  # "leftmost of the three"
_BEFORE_OTHERS = _words("behind beside besides next near between by under underneath beneath above below against")
_ARTICLES = _words("the a an this that its")
_VIEWERS = _words("camera cam viewer us you me screen photo picture image frame pic photographer front")
_TURNED = _words("looking facing turned turning pointing")


class Said(NamedTuple):
    """A place or a size that a phrase gives its object.

    Attributes:
        word: the position of its word in the phrase.
        aspect: the place or size.
        rank: the place in its order, from 0: 1 for "second from left", 0 for "leftmost" and "far left". None if the
            phrase does not count: "on the left".
    """

    word: int
    aspect: Aspect
    rank: int | None


def words_of(text: str) -> list[str]:
    """Return the words of a phrase, in lower case, without punctuation."""
    return _TOKEN.findall(text.lower())


def aspects_of(words: list[str]) -> Iterator[Said]:
    """Yield the places and sizes that a phrase gives its object, in order.

    Args:
        words: the words of the phrase, of `words_of`.
    """
    for place, word in enumerate(words):
        aspect = ASPECTS.get(word)
        if aspect is not None and not _is_relation(words, place) and not _says_no_aspect(words, place):
            yield Said(place, aspect, _rank(words, place))


def order_of(text: str, directions: Collection[str]) -> tuple[Aspect, int] | None:
    """Return the place in an order that a phrase gives its object, such as ("left", 1) for "second from left".

    Args:
        text: the phrase.
        directions: where counting may start, such as "left" and "right".

    Returns:
        The direction and the rank, from 0; None if the phrase does not count.
    """
    words = words_of(text)
    ends = next((place for place, word in enumerate(words) if _leads_to_another(words, place)), len(words))
    said = aspects_of(words[:ends])
    return next(((aspect, rank) for _, aspect, rank in said if aspect in directions and rank is not None), None)


def _leads_to_another(words: list[str], place: int) -> bool:
    """Return whether another object comes after a word: "behind the second man from the left" counts the men."""
    return words[place] in _BEFORE_OTHERS or (words[place] in ASPECTS and _is_relation(words, place))


def _is_relation(words: list[str], place: int) -> bool:
    """Return whether a place is that of another object, as in "left of the dog" and "closest to the door"."""
    word, rest = words[place], words[place + 1 :]
    if word in ("close", "closest", "nearest", "closer", "nearer"):
        rest = rest[rest[:1] == ["to"] :]
        named = rest and rest[0] not in ASPECTS
        return bool(named) and words[place + 1] == "to" and _VIEWERS.isdisjoint(rest[:3])
    if rest[:1] != ["of"]:
        return word == "back" and words[max(place - 1, 0)] in ("his", "her", "its", "their")
    following = [each for each in rest[1:3] if each not in _ARTICLES]
    return word not in _OUTERMOST and bool(following) and following[0] not in _VIEWERS | _GROUPS


def _says_no_aspect(words: list[str], place: int) -> bool:
    """Return whether a word is no place or size of its own here: "far left", "looking right", "black or tank top"."""
    before = words[max(place - 3, 0) : place]
    last, following = before[-1:], words[place + 1 : place + 2]
    if words[place] in _FAR:
        return bool(following) and following[0] in ASPECTS
    if in_set_phrase(words, place) or (words[place] == "top" and COLOUR_OF.keys() & last):
        return True
    turned = [word for word in before if word not in _FAR][-1:]
    return "not" in before or not _TURNED.isdisjoint(turned) or following == ["handed"]


def _rank(words: list[str], place: int) -> int | None:
    """Return the rank of an aspect: 1 in "second from the left", "2nd dog from left" and "second biggest", or None."""
    before = words[:place]
    while before and before[-1] in _LINKS:
        before.pop()
    last = before[-1] if before else ""
    if last in _ORDINALS:
        return _ORDINALS[last]
    if "from" in before[-3:]:
        return next((_ORDINALS[word] for word in reversed(before) if word in _ORDINALS), None)
    most = words[place + 1 : place + 2] == ["most"] or before[-3:] == ["all", "the", "way"]
    return 0 if words[place] in _OUTERMOST or last in _FAR or most else None
