"""Phrases of version 2 that fit exactly one object.

The flavours are version 1's: "mojiref" (short, with places), "mojiref+" (without places and orders) and "mojirefg"
(long). A `Describer` holds what is true of one referent and finds the attributes to mention; `phrasing` words them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import combinations
from operator import and_

import numpy as np
from numpy.typing import NDArray

from aligncat.mojiref.grammar import Flavour
from aligncat.mojiref.version2.attributes import Attribute, Item, Kind, attributes_of, before
from aligncat.mojiref.version2.phrasing import Wording, word_phrase
from aligncat.mojiref.version2.spelling import MISSPELLING_RATE, misspell

OVER_SPECIFICATION = 0.33  # share of phrases that say more than is needed (Engelhardt, Bailey & Ferreira 2006)
MOST_NEEDED = 3  # attributes in the largest set that a phrase may need

# Weight of a kind if several would do.
PREFERENCE: dict[Flavour, dict[Kind, float]] = {
    "mojiref": {
        **{"place": 1.0, "color": 0.8, "clothes": 0.6, "action": 0.7, "texture": 0.5},
        **{"order": 0.5, "size": 0.4, "relation": 0.2},
    },
    "mojiref+": {"color": 1.0, "clothes": 0.7, "action": 0.8, "texture": 0.6, "size": 0.5, "relation": 0.5},
    "mojirefg": {
        **{"relation": 1.0, "color": 0.8, "clothes": 0.7, "action": 0.7, "texture": 0.6},
        **{"size": 0.4, "place": 0.3, "order": 0.4},
    },
}
# Weight of a kind in what is said without need: colour before the others (docs/mojiref.md).
_EXTRA: dict[Kind, float] = {
    **{"color": 1.0, "clothes": 0.6, "texture": 0.6, "action": 0.6, "place": 0.6},
    **{"relation": 0.4, "size": 0.35, "order": 0.2},
}
_EXTRA_COUNT = (0.65, 0.25, 0.10)  # shares of one, two and three attributes without need


@dataclass(frozen=True, slots=True)
class Phrase:
    """One sentence and the kinds of its attributes.

    Attributes:
        text: the sentence as it was written.
        correct: the sentence without a misspelling.
        needed: kinds of a smallest set of attributes that distinguishes the referent from its peers.
        redundant: kinds of the further attributes.
    """

    text: str
    correct: str
    needed: tuple[Kind, ...]
    redundant: tuple[Kind, ...]

    @property
    def kind(self) -> str:
        """The name of the phrase's slice in reports; "category" if no attribute is needed."""
        return "+".join(self.needed) or "category"


@dataclass(frozen=True)
class Describer:
    """Describes one object of an image.

    Attributes:
        item: the referent.
        others: the other objects of the image.
        flavour: determines the allowed kinds of attributes and the style.
    """

    item: Item
    others: tuple[Item, ...]
    flavour: Flavour

    def describe(self, rng: np.random.Generator, *, over_specification: float = OVER_SPECIFICATION) -> Phrase | None:
        """Return a phrase that is true of the referent and of no other object.

        Args:
            rng: chooses among the possible phrases.
            over_specification: the probability that the phrase says more than is needed, if there is more to say.

        Returns:
            The phrase, or None if the flavour cannot distinguish the referent from its peers.
        """
        if not self._nouns or not self._smallest_sets:
            return None
        sets, weights = self._smallest_sets
        needed = list(sets[rng.choice(len(sets), p=weights)])
        redundant: list[Attribute] = []
        if rng.random() < over_specification:
            for _ in range(1 + int(rng.choice(3, p=_EXTRA_COUNT))):
                redundant += self._one_more(rng, [*needed, *redundant])
        mentioned = [*needed, *redundant]
        nouns = self._common_nouns if any(a.kind == "order" for a in mentioned) else self._nouns
        anchors = {id(a.anchor): self._nouns_of(a.anchor) for a in mentioned if a.anchor is not None}
        correct = word_phrase(rng, Wording(self.item.category == "person", self.flavour, nouns, anchors), mentioned)
        text = misspell(rng, correct) if rng.random() < MISSPELLING_RATE else correct
        return Phrase(text, correct, tuple(a.kind for a in needed), tuple(a.kind for a in redundant))

    @cached_property
    def _peers(self) -> list[Item]:
        return [other for other in self.others if other.category == self.item.category]

    @cached_property
    def _nouns(self) -> tuple[str, ...]:
        return self._nouns_of(self.item)

    @cached_property
    def _common_nouns(self) -> tuple[str, ...]:
        """The nouns that all objects of the category share: "second man" must not count a woman for some readers."""
        return tuple(noun for noun in self._nouns if all(noun in peer.nouns for peer in self._peers))

    def _nouns_of(self, item: Item) -> tuple[str, ...]:
        """Return the nouns of an object that no object of another category bears, alone or as a longer noun's head."""
        borne = {
            noun
            for other in (self.item, *self.others)
            if other.category != item.category
            for whole in other.nouns
            for noun in (whole, whole.split()[-1])
        }
        return tuple(noun for noun in item.nouns if noun not in borne)

    @cached_property
    def _available(self) -> list[Attribute]:
        """What is true of the referent and can be said in the flavour."""
        return [
            attribute
            for attribute in attributes_of(self.item, self.others)
            if attribute.kind in PREFERENCE[self.flavour]
            and (attribute.anchor is None or self._nouns_of(attribute.anchor))
            and (attribute.kind != "order" or self._common_nouns)
        ]

    @cached_property
    def _smallest_sets(self) -> tuple[list[tuple[Attribute, ...]], NDArray[np.float64]] | None:
        """The smallest sets of attributes that no peer has even leniently, and the probability of each."""
        if not self._peers:
            return [()], np.ones(1)
        preference = PREFERENCE[self.flavour]
        kinds = [attribute.kind for attribute in self._available]
        # Bit n of an attribute's number: whether the n-th peer has it, leniently.
        fits = [sum(a.holds(peer, lenient=True) << n for n, peer in enumerate(self._peers)) for a in self._available]
        for size in range(1, MOST_NEEDED + 1):
            sets = [
                chosen
                for chosen in combinations(range(len(fits)), size)
                if reduce(and_, [fits[place] for place in chosen]) == 0
                and len({kinds[place] for place in chosen}) == size
            ]
            if sets:
                of_kinds = Counter(frozenset(kinds[place] for place in chosen) for chosen in sets)
                weights = np.array(
                    [
                        np.prod([preference[kinds[place]] for place in chosen])
                        / of_kinds[frozenset(kinds[place] for place in chosen)]
                        for chosen in sets
                    ]
                )
                return [tuple(self._available[place] for place in chosen) for chosen in sets], weights / weights.sum()
        return None

    def _one_more(self, rng: np.random.Generator, mentioned: list[Attribute]) -> list[Attribute]:
        """Return one more attribute of a new kind in a list, which is empty if there is none."""
        kinds = {attribute.kind for attribute in mentioned}
        spare = [
            attribute
            for attribute in self._available
            if attribute.kind not in kinds and self._go_together([*mentioned, attribute])
        ]
        new = sorted({attribute.kind for attribute in spare})
        if not new:
            return []
        weights = np.array([_EXTRA[kind] for kind in new])
        kind = new[rng.choice(len(new), p=weights / weights.sum())]
        spare = [attribute for attribute in spare if attribute.kind == kind]
        return [spare[rng.integers(len(spare))]]

    def _go_together(self, attributes: Sequence[Attribute]) -> bool:
        """Return whether attributes can stand in one phrase.

        "The second red car from the left" may count all cars or the red ones. It is said only where both give the
        referent: where all cars that are counted before it are red. A phrase has a place or an order, not both, and
        only the first from a side has a relation too: "second car from the left of the bus" could be misread.
        """
        orders = [attribute for attribute in attributes if attribute.kind == "order"]
        if not orders:
            return True
        [order] = orders
        rest = [attribute for attribute in attributes if attribute.kind != "order"]
        counted = before(order, self.item, self._peers)
        if any(a.kind == "place" or (a.kind == "relation" and counted) for a in rest):
            return False
        return all(a.holds(peer) for a in rest for peer in counted)
