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
from aligncat.language.tokens import word_set

Aspect = Literal["left", "right", "top", "bottom", "middle", "near", "far", "big", "small", "tall", "short"]


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
_LATER = {word for word, rank in _ORDINALS.items() if rank}
_NUMBERS = {str(number): number - 1 for number in range(1, 11)}
_SIZES = word_set("big small tall short")
_OUTERMOST = word_set("leftmost rightmost topmost bottommost uppermost highest lowest")
_FAR = word_set("far farthest furthest extreme most")
_LINKS = word_set("to on the at")  # between a rank and its place: "second on the left", "furthest to the right"
_GROUPS = word_set("two three four five all them these those group row")  # "leftmost of the three"
_WORN = word_set("in with wearing")
_OWNERS = word_set("of in on at with holding wearing riding carrying")
_NO_NOUNS = _LINKS | word_set("from side hand end edge corner part of in with and or that who which is")
_PARTS = word_set("row rows column columns s")  # "s" is that of "the far left man's hat"
_BEFORE_OTHERS = word_set("behind beside besides next near between by under underneath beneath above below against")
_ARTICLES = word_set("the a an this that its")
_VIEWERS = word_set("camera cam viewer us you me screen photo picture image frame pic photographer front")
_TURNED = word_set("looking facing turned turning pointing")


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
        The direction and the rank, from 0; None if the phrase does not count, or counts among a part of its objects
        ("second donut from top left", "third from left in the second row") or counts another object ("hat of the far
        left man").
    """
    words = words_of(text)
    own = words[: next((place for place, word in enumerate(words) if _leads_to_another(words, place)), len(words))]
    said = [each for each in aspects_of(own) if each.aspect not in _SIZES and not _is_worn(own, each.word)]
    aspects, ranks = {each.aspect for each in said}, {each.rank for each in said if each.rank is not None}
    is_part = any(word in _PARTS and not in_set_phrase(own, at) for at, word in enumerate(own))
    if is_part or len(aspects) != 1 or len(ranks) != 1:
        return None
    [aspect], [rank] = aspects, ranks
    return (aspect, rank) if aspect in directions else None


def _is_worn(words: list[str], place: int) -> bool:
    """Return whether a word is a top that is worn: "in a striped top", but "in the top left"."""
    *before, last = ["", *words[max(place - 5, 0) : place]]
    is_place = last in _ARTICLES | _LINKS | _FAR | ASPECTS.keys()
    return words[place] == "top" and not is_place and not _WORN.isdisjoint(before)


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
        return next((each for each in words[place + 1 :] if each not in _LINKS), "") in ASPECTS
    if in_set_phrase(words, place) or (words[place] == "top" and COLOUR_OF.keys() & last):
        return True
    turned = [word for word in before if word not in _FAR][-1:]
    return "not" in before or not _TURNED.isdisjoint(turned) or following == ["handed"]


def _rank(words: list[str], place: int) -> int | None:
    """Return the rank of an aspect: 1 in "second from the left", "2nd dog from left" and "second biggest", or None."""
    end = place
    while end and words[end - 1] in _LINKS:
        end -= 1
    before, after = words[:end], words[place + 1 : place + 3]
    other, last = ["", "", *before][-2:]
    ordinals = [at for at, word in enumerate(before) if word in _ORDINALS]
    is_from = "from" in before[-3:]
    # "Second to last from left" counts from the right, and "second car on the far left" perhaps among those there.
    if ordinals and (
        "last" in before[ordinals[-1] :] or (last in _FAR and not is_from and words[ordinals[-1]] in _LATER)
    ):
        return None
    if last in _ORDINALS or (ordinals and is_from):
        first = ordinals[-1]
        rank, following = _ORDINALS[words[first]], words[first + 1 :]
    elif last == "from" and other in _NUMBERS:  # "2 from left"
        return _NUMBERS[other]
    elif after[:1] == ["side"] and after[-1] in _ORDINALS:  # "right side second person"
        return _ORDINALS[after[-1]]
    elif words[place] in _OUTERMOST or last in _FAR or before[-3:] == ["all", "the", "way"] or after[:1] == ["most"]:
        first, rank, following = len(before) - 1 if last in _FAR else place, 0, after[after[:1] == ["most"] :]
    elif last == "last" and other != "to":  # "last on right"
        return 0
    else:
        return None
    return None if _is_anothers(words, first, following) else rank


def _is_anothers(words: list[str], first: int, following: list[str]) -> bool:
    """Return whether another object is counted: "hat of the far left man", "cat on the second bed from left".

    Args:
        words: the words of the phrase.
        first: the place of "far" or "second".
        following: the words after "far left" or "second".
    """
    while first and words[first - 1] in _ARTICLES:
        first -= 1
    has_noun = bool(following) and following[0] not in _NO_NOUNS and not following[0].endswith("ing")
    return has_noun and first > 0 and words[first - 1] in _OWNERS | _BEFORE_OTHERS
