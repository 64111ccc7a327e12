"""Generation of phrases that fit exactly one object, over-specified at a human-like rate.

There are three flavours: "mojiref" (short, with absolute places, like RefCOCO), "mojiref+" (without absolute places,
like RefCOCO+) and "mojirefg" (long, with relations, like RefCOCOg).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from aligncat.mojiref.attributes import SLACK, Attribute, Item, Kind, attributes_of

Flavour = Literal["mojiref", "mojiref+", "mojirefg"]
FLAVOURS: tuple[Flavour, ...] = ("mojiref", "mojiref+", "mojirefg")

# Weight of a kind if several would do. People prefer colour to size (Pechmann 1989).
PREFERENCE: dict[Flavour, dict[Kind, float]] = {
    "mojiref": {"place": 1.0, "color": 0.8, "size": 0.4, "relation": 0.2},
    "mojiref+": {"color": 1.0, "size": 0.5, "relation": 0.5},
    "mojirefg": {"relation": 1.0, "color": 0.8, "size": 0.4, "place": 0.3},
}
# How often a kind is mentioned without need. Speakers over-describe almost one time in three (Engelhardt, Bailey &
# Ferreira 2006), with colour far more often than with size (Pechmann 1989; Tarenskeen et al. 2015; Degen et al. 2020).
# The rates of places and relations are our choice, explained in docs/mojiref.md: RefCOCO's short phrases sometimes name
# a second object ("girl with spoon"), and RefCOCOg's long phrases nearly always do.
_SHORT: dict[Kind, float] = {"color": 0.5, "place": 0.4, "size": 0.2, "relation": 0.2}
REDUNDANCY: dict[Flavour, dict[Kind, float]] = {
    "mojiref": _SHORT,
    "mojiref+": _SHORT,
    "mojirefg": {**_SHORT, "relation": 0.5},
}


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence and the kinds of its attributes.

    Attributes:
        text: the sentence.
        needed: kinds of a smallest set of attributes that distinguishes the referent from its peers.
        redundant: kinds of the further attributes.
    """

    text: str
    needed: tuple[Kind, ...]
    redundant: tuple[Kind, ...]

    @property
    def kind(self) -> str:
        """The name of the phrase's slice in reports; "category" if no attribute is needed."""
        return "+".join(self.needed) or "category"


def describe(
    rng: np.random.Generator,
    flavour: Flavour,
    item: Item,
    others: Sequence[Item],
    *,
    redundancy: float = 1.0,
) -> Phrase | None:
    """Generate a phrase that is true of an item and of no other object in its image.

    Args:
        rng: chooses among the possible phrases.
        flavour: determines the allowed kinds of attributes and the style.
        item: the referent.
        others: the other objects of the image.
        redundancy: factor on the rates of REDUNDANCY.

    Returns:
        The phrase, or None if the flavour cannot distinguish the item from its peers.
    """
    preference = PREFERENCE[flavour]
    available = [attribute for attribute in attributes_of(item, others) if attribute.kind in preference]
    peers = [other for other in others if other.category == item.category]
    needed = smallest_set(rng, preference, available, peers)
    if needed is None:
        return None
    redundant = further_attributes(rng, flavour, available, {a.kind for a in needed}, redundancy)
    text = phrase_text(rng, flavour, item, [*needed, *redundant])
    return Phrase(text, tuple(a.kind for a in needed), tuple(a.kind for a in redundant))


def further_attributes(
    rng: np.random.Generator,
    flavour: Flavour,
    available: Sequence[Attribute],
    mentioned: Collection[Kind],
    redundancy: float,
) -> list[Attribute]:
    """Return the attributes that a phrase mentions without need, at most one of each kind.

    Args:
        rng: decides which kinds are mentioned, and chooses among the attributes of a kind.
        flavour: determines the kinds and their rates.
        available: the attributes that may be mentioned.
        mentioned: the kinds that the phrase has already.
        redundancy: factor on the rates of REDUNDANCY.
    """
    redundant: list[Attribute] = []
    for kind in PREFERENCE[flavour]:
        spare = [attribute for attribute in available if attribute.kind == kind and kind not in mentioned]
        if spare and rng.random() < redundancy * REDUNDANCY[flavour][kind]:
            redundant.append(spare[rng.integers(len(spare))])
    return redundant


def smallest_set(
    rng: np.random.Generator,
    preference: Mapping[Kind, float],
    available: Sequence[Attribute],
    peers: Sequence[Item],
) -> tuple[Attribute, ...] | None:
    """Return a smallest set, of at most two attributes, that no peer has even leniently; drawn by preference."""
    if not peers:
        return ()
    sets = smallest_sets(available, peers)
    if not sets:
        return None
    counts = {chosen: sum(_kinds(other) == _kinds(chosen) for other in sets) for chosen in sets}
    weights = np.array([np.prod([preference[a.kind] for a in c]) / counts[c] for c in sets])
    return sets[rng.choice(len(sets), p=weights / weights.sum())]


def smallest_sets(available: Sequence[Attribute], peers: Sequence[Item]) -> list[tuple[Attribute, ...]]:
    """Return the smallest sets, of one or two attributes, that no peer has even leniently."""
    for size in (1, 2):
        sets = [
            chosen
            for chosen in combinations(available, size)
            if len({attribute.kind for attribute in chosen}) == size
            and not any(all(a.holds(peer, slack=SLACK) for a in chosen) for peer in peers)
        ]
        if sets:
            return sets
    return []


def _kinds(attributes: Sequence[Attribute]) -> frozenset[Kind]:
    return frozenset(attribute.kind for attribute in attributes)


_PERSON_COLORS = ("{n} in {c}", "{n} in {c} shirt", "{n} wearing {c}")
_PEOPLE_COLORS = ("{n} in {c}", "{n} in {c} shirts", "{n} wearing {c}")
_SIZES = {"big": ("big", "large"), "small": ("small", "little")}
_SHORT_PLACES = {
    "left": ("{n} on left", "{n} on the left", "left {n}"),
    "right": ("{n} on right", "{n} on the right", "right {n}"),
    "top": ("{n} on top", "{n} at the top", "top {n}"),
    "bottom": ("{n} on bottom", "{n} at the bottom", "bottom {n}"),
    "middle": ("{n} in middle", "{n} in the middle", "middle {n}"),
}
_LONG_PLACES = {
    "left": ("{n} on the left side of the picture",),
    "right": ("{n} on the right side of the picture",),
    "top": ("{n} at the top of the picture",),
    "bottom": ("{n} at the bottom of the picture",),
    "middle": ("{n} in the middle of the picture",),
}
_RELATION_WORDS = {
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "next to": ("next to", "beside", "near"),
}


def phrase_text(
    rng: np.random.Generator,
    flavour: Flavour,
    item: Item,
    attributes: Sequence[Attribute],
    *,
    plurals: Sequence[str] = (),
) -> str:
    """Return a phrase for a noun of an item and for attributes.

    Args:
        rng: chooses among the nouns and the wordings.
        flavour: determines the style.
        item: the object, or one of several.
        attributes: what the phrase says of it, at most one of each kind.
        plurals: plural nouns to choose from, if the phrase is for several objects.
    """

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    value = {attribute.kind: attribute.value for attribute in attributes}
    long = flavour == "mojirefg"
    noun = phrase = pick(plurals or item.nouns)
    if "color" in value:
        worn = item.category == "person"
        forms = _PEOPLE_COLORS if plurals else _PERSON_COLORS
        phrase = pick(forms).format(n=noun, c=value["color"]) if worn else f"{value['color']} {noun}"
    if "size" in value:
        phrase = f"{pick(_SIZES[value['size']])} {phrase}"
    if "place" in value:
        places = (_LONG_PLACES if long else _SHORT_PLACES)[value["place"]]
        # The last form, "top car left of the bus": "car at the top left of the bus" would be ambiguous.
        phrase = pick(places[-1:] if "relation" in value else places).format(n=phrase)
    for attribute in attributes:
        if attribute.anchor is not None:
            link = pick(_RELATION_WORDS[attribute.value])
            anchor = f"the {pick(attribute.anchor.nouns)}"
            phrase = f"{phrase} that is {link} {anchor}" if long and rng.random() < 0.4 else f"{phrase} {link} {anchor}"
    if long:
        article = "an" if phrase[0] in "aeiou" else "a"
        phrase = f"{pick(('the', article))} {phrase}"
    return phrase
