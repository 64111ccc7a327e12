"""The grammar: a phrase that fits exactly one object, and often says more than is needed, as people do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from aligncat.phrases.attributes import Attribute, Kind, attributes_of
from aligncat.phrases.nouns import is_person, nouns_of, plural, with_indefinite
from aligncat.phrases.objects import PhotoObject

VERSION = 1
"""The version of the grammar and of the rules of truth. Other phrases from the same store are another version."""

# If several kinds of attribute tell the referent apart, one is drawn with these weights: places first, as in RefCOCO.
_PREFERENCE: dict[Kind, float] = {"place": 1.0, "color": 0.8, "size": 0.4, "relation": 0.4}
# How often an attribute that is not needed is mentioned. docs/mojiref.md cites the studies; they say that people name
# colours without need far more often than sizes. The rates themselves are our choice.
_OVER_SPECIFICATION: dict[Kind, float] = {"color": 0.5, "place": 0.4, "size": 0.2, "relation": 0.3}
_LONG = 0.35  # the share of whole noun phrases ("the dog on the left side of the photo"); the others are short


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase and the kinds of its attributes.

    Attributes:
        text: the phrase.
        needed: the kinds of a smallest set of attributes that tells the referent apart.
        redundant: the kinds of the further attributes.
    """

    text: str
    needed: tuple[Kind, ...]
    redundant: tuple[Kind, ...]


def describe(
    random: np.random.Generator, item: PhotoObject, others: Sequence[PhotoObject], *, over_specification: float
) -> Phrase | None:
    """Write a phrase that fits an object and no other object of its image.

    Args:
        random: chooses among the possible phrases.
        item: the referent.
        others: the other objects of the image, including doubtful ones.
        over_specification: factor on the rates at which attributes are mentioned without need.

    Returns:
        The phrase, or None if two attributes are not enough to tell the referent apart.
    """
    attributes = attributes_of(item, others)
    peers = [other for other in others if item.category in other.categories]
    needed = _smallest_set(random, attributes, peers)
    if needed is None:
        return None
    aspects = {attribute.aspect for attribute in needed}
    redundant: list[Attribute] = []
    for kind, rate in _OVER_SPECIFICATION.items():
        spare = [each for each in attributes if each.kind == kind and each.aspect not in aspects]
        if spare and kind not in {each.kind for each in needed} and random.random() < over_specification * rate:
            redundant.append(spare[int(random.integers(len(spare)))])
    text = _Wording(random, item, peers).write([*needed, *redundant], alone=not needed)
    return Phrase(text, tuple(a.kind for a in needed), tuple(a.kind for a in redundant))


def _smallest_set(
    random: np.random.Generator, attributes: Sequence[Attribute], peers: Sequence[PhotoObject]
) -> tuple[Attribute, ...] | None:
    """Return a smallest set of at most two attributes that no peer has even leniently, drawn by preference."""
    for size in range(3):
        sets = [
            chosen
            for chosen in combinations(attributes, size)
            if len({each.aspect for each in chosen}) == size
            and not any(all(each.holds(peer, lenient=True) for each in chosen) for peer in peers)
        ]
        if sets:
            kinds = [tuple(each.kind for each in chosen) for chosen in sets]
            weights = np.array([np.prod([_PREFERENCE[kind] for kind in each]) / kinds.count(each) for each in kinds])
            return sets[int(random.choice(len(sets), p=weights / weights.sum()))]
    return None


_SIZES = {"big": ("big", "large"), "small": ("small", "little")}
_WORN = ("{n} in {c}", "{n} wearing {c}", "{n} in {c} clothes")
_AFTER = {
    "left": ("on left", "on the left", "left side"),
    "right": ("on right", "on the right", "right side"),
    "top": ("on top", "at the top", "top"),
    "bottom": ("on bottom", "at the bottom", "bottom"),
    "middle": ("in middle", "in the middle", "in the center"),
}
_WHOLE = {
    "left": ("on the left side of the {p}", "on the left"),
    "right": ("on the right side of the {p}", "on the right"),
    "top": ("at the top of the {p}",),
    "bottom": ("at the bottom of the {p}",),
    "middle": ("in the middle of the {p}", "in the center of the {p}"),
}
_RELATIONS = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "next to": ("next to", "beside", "near", "by"),
}
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}


class _Wording:
    """Chooses the words of one phrase.

    Args:
        random: chooses among the possible words.
        item: the referent.
        peers: the other objects that may have its category.
    """

    def __init__(self, random: np.random.Generator, item: PhotoObject, peers: Sequence[PhotoObject]) -> None:
        self._random = random
        self._item = item
        self._peers = peers

    def write(self, attributes: Sequence[Attribute], *, alone: bool) -> str:
        """Return a phrase with all attributes.

        Args:
            attributes: the attributes.
            alone: whether the noun is enough to tell the referent apart.
        """
        noun = self._noun(self._item)
        long = self._random.random() < _LONG
        if long and self._may_count(attributes, alone) and self._random.random() < 0.3:
            return self._one_of_several(noun, attributes)
        phrase = self._with_colour_and_size(noun, attributes)
        places = [each.value for each in attributes if each.kind == "place"]
        related = [each for each in attributes if each.anchor is not None]
        if places:
            phrase = self._with_places(phrase, places, long=long, before=bool(related))
        for each in related:
            assert each.anchor is not None, "a relation has an anchor"
            link = self._pick(_RELATIONS[each.value])
            that = "that is " if long and self._random.random() < 0.4 else ""
            the = "the " if long or self._random.random() < 0.6 else ""
            phrase = f"{phrase} {that}{link} {the}{self._noun(each.anchor)}"
        if not long:
            return phrase
        return f"the {phrase}" if self._random.random() < 0.6 else with_indefinite(phrase, noun)

    def _with_colour_and_size(self, noun: str, attributes: Sequence[Attribute]) -> str:
        said = {each.kind: each.value for each in attributes if each.kind in ("color", "size")}
        phrase = noun
        if "color" in said:
            worn = is_person(self._item.category)
            phrase = self._pick(_WORN).format(n=noun, c=said["color"]) if worn else f"{said['color']} {noun}"
        return f"{self._pick(_SIZES[said['size']])} {phrase}" if "size" in said else phrase

    def _with_places(self, phrase: str, places: Sequence[str], *, long: bool, before: bool) -> str:
        """Add places. Before a relation they stand in front, or "at the top left of the bus" would be read wrongly."""
        if len(places) == 2:
            places = sorted(places, key=lambda place: place not in ("top", "bottom"))  # "top left"
            both = " ".join(places)
            if before or (not long and self._random.random() < 0.5):
                return f"{both} {phrase}"
            return f"{phrase} in the {both} corner" if long else f"{phrase} at the {both}"
        [place] = places
        if before or (not long and self._random.random() < 0.5):
            return f"{place} {phrase}"
        form = self._pick(_WHOLE[place] if long else _AFTER[place])
        return f"{phrase} {form.format(p=self._pick(('photo', 'picture', 'image')))}"

    def _may_count(self, attributes: Sequence[Attribute], alone: bool) -> bool:
        """Return whether "the left one of the two dogs" is possible: only adjectives, and every peer is sure."""
        if alone or is_person(self._item.category) or len(self._peers) + 1 not in _NUMBERS:
            return False
        few = len(attributes) == 1 and attributes[0].kind in ("color", "size", "place")
        return few and all(peer.sure for peer in self._peers)

    def _one_of_several(self, noun: str, attributes: Sequence[Attribute]) -> str:
        [attribute] = attributes
        word = self._pick(_SIZES[attribute.value]) if attribute.kind == "size" else attribute.value
        number = _NUMBERS[len(self._peers) + 1]
        return f"the {word} one of the {number} {plural(noun)}"

    def _noun(self, item: PhotoObject) -> str:
        return self._pick(nouns_of(item.category))

    def _pick(self, words: Sequence[str]) -> str:
        return words[int(self._random.integers(len(words)))]
