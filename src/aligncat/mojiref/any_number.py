"""Phrases that fit several objects of a scene, or none of them although one nearly fits.

The words and the rules of what is true are those of the flavour "mojiref" in the module `grammar`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from aligncat.mojiref.attributes import PLACES, SLACK, Attribute, Item, Kind, attributes_of
from aligncat.mojiref.grammar import (
    PREFERENCE,
    Flavour,
    Phrase,
    further_attributes,
    phrase_text,
    smallest_set,
    smallest_sets,
)
from aligncat.mojiref.plurals import plural_of
from aligncat.mojiref.raster import TINTS

STYLE: Flavour = "mojiref"
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}
# What a near miss says falsely. Only the colours of tints: every drawing has a white edge and black outlines, and many
# have grey parts, so "white", "black" and "gray" are never quite false.
_FALSE_VALUES: dict[Kind, tuple[str, ...]] = {"color": tuple(TINTS), "size": ("big", "small"), "place": PLACES}
# Categories that a viewer might call by each other's nouns, or of which one drawing shows the other: OpenMoji's bowl
# has a spoon, its cricket bat a ball, and some of its people wear ties.
_ALIKE = (
    {"backpack", "handbag", "suitcase"},
    {"bear", "teddy bear"},
    {"bicycle", "motorcycle"},
    {"car", "truck", "bus", "train"},
    {"cup", "wine glass", "bowl", "vase", "potted plant", "bottle"},
    {"tv", "laptop", "keyboard", "mouse", "cell phone"},
    {"chair", "couch", "bed", "toilet"},
    {"sandwich", "hot dog"},
    {"cake", "donut"},
    {"spoon", "bowl", "knife"},
    {"sports ball", "baseball bat"},
    {"tie", "person"},
)


def groups_of(items: Sequence[Item], allowed: Sequence[bool]) -> list[tuple[int, ...]]:
    """Return the sets of objects that a phrase can mean: two or more of one category that share a plural noun.

    Args:
        items: the objects of a scene.
        allowed: for each object, whether phrases of the split may be about it.

    Returns:
        The sets, as positions in `items`.
    """
    found = []
    for category in dict.fromkeys(item.category for item in items):
        numbers = [number for number, item in enumerate(items) if item.category == category and allowed[number]]
        for count in range(2, len(numbers) + 1):
            for group in combinations(numbers, count):
                members, others = _divided(items, group)
                peers = [other for other in others if other.category == category]
                if _plurals(members) and (not peers or smallest_sets(_shared(members, others), peers)):
                    found.append(group)
    return found


def describe_several(
    rng: np.random.Generator, items: Sequence[Item], group: tuple[int, ...], *, redundancy: float
) -> Phrase | None:
    """Generate a phrase that is true of some objects and of no other object of their scene.

    Args:
        rng: chooses among the possible phrases.
        items: the objects of a scene.
        group: positions of the objects that the phrase means, one of `groups_of`.
        redundancy: factor on the rates of REDUNDANCY.

    Returns:
        The phrase, or None if the objects cannot be told from the others of their category.
    """
    members, others = _divided(items, group)
    available = _shared(members, others)
    peers = [other for other in others if other.category == members[0].category]
    needed = smallest_set(rng, PREFERENCE[STYLE], available, peers)
    if needed is None:
        return None
    redundant = further_attributes(rng, STYLE, available, {a.kind for a in needed}, redundancy)
    plurals = _plurals(members)
    text = phrase_text(rng, STYLE, members[0], [*needed, *redundant], plurals=plurals)
    number = _NUMBERS[len(members)]
    counts = [f"{'both' if len(members) == 2 else 'all'} ", f"{number} ", f"the {number} "]
    # The plural of "sheep" does not show without a count.
    before = counts if "sheep" in plurals else ["", "the ", *counts]
    text = f"{before[rng.integers(len(before))]}{text}"
    return Phrase(text, tuple(a.kind for a in needed), tuple(a.kind for a in redundant))


def describe_near_miss(
    rng: np.random.Generator, items: Sequence[Item], allowed: Sequence[bool], *, redundancy: float
) -> Phrase | None:
    """Generate a phrase that is true of an object but for one attribute, which nothing that it may name has.

    The false attribute is a colour, a size or a place that is not even leniently true of an object of the category, or
    of one that a viewer might call by its nouns.

    Args:
        rng: chooses among the possible phrases.
        items: the objects of a scene.
        allowed: for each object, whether phrases of the split may be about it.
        redundancy: factor on the rates of REDUNDANCY.

    Returns:
        The phrase, whose `needed` is the kind of the false attribute; None if there is no such attribute.
    """
    possible: dict[Kind, list[tuple[int, Attribute]]] = {}
    for number, item in enumerate(items):
        nameable = [other for other in items if may_be_called(other.category, item.category)]
        for kind, values in _FALSE_VALUES.items():
            for false in (Attribute(kind, value) for value in values):
                if allowed[number] and not any(false.holds(other, slack=SLACK) for other in nameable):
                    possible.setdefault(kind, []).append((number, false))
    if not possible:
        return None
    kinds = list(possible)
    kind = kinds[rng.integers(len(kinds))]
    number, false = possible[kind][rng.integers(len(possible[kind]))]
    (item,), others = _divided(items, (number,))
    true = [attribute for attribute in attributes_of(item, others) if attribute.kind in PREFERENCE[STYLE]]
    redundant = further_attributes(rng, STYLE, true, {kind}, redundancy)
    text = phrase_text(rng, STYLE, item, [false, *redundant])
    return Phrase(text, (kind,), tuple(a.kind for a in redundant))


def may_be_called(category: str, other: str) -> bool:
    """Return whether a viewer might call an object of a category by the nouns of another category."""
    return category == other or any(category in alike and other in alike for alike in _ALIKE)


def _divided(items: Sequence[Item], group: tuple[int, ...]) -> tuple[list[Item], list[Item]]:
    """Return the objects of a group, and the others."""
    return [items[number] for number in group], [item for number, item in enumerate(items) if number not in group]


def _shared(members: Sequence[Item], others: Sequence[Item]) -> list[Attribute]:
    """Return the attributes that all objects of a group have in the strict reading."""
    first, *rest = members
    return [
        attribute
        for attribute in attributes_of(first, [*rest, *others])
        if attribute.kind in PREFERENCE[STYLE] and all(attribute.holds(member) for member in rest)
    ]


def _plurals(members: Sequence[Item]) -> list[str]:
    """Return the plurals of the nouns that name each object of a group."""
    shared = [noun for noun in members[0].nouns if all(noun in member.nouns for member in members)]
    return [plural for plural in map(plural_of, shared) if plural is not None]
