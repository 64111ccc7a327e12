"""What a phrase asks for, read by rules: a category, colours, places, sizes, and a place in an order.

Colours and sizes count up to the words that lead to another object ("with", "behind"). A place counts wherever it
stands, but not as part of a relation to another object ("left of the dog", "in front of the car"), which no rule reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from aligncat.datasets.lexicon import Lexicon
from aligncat.language.attributes import ASPECTS, Aspect, aspects_of, words_of
from aligncat.language.colours import COLOUR_OF
from aligncat.language.tokens import word_set
from aligncat.phrases.nouns import PERSON

_SIZES = {"big", "small", "tall", "short"}
# After these words comes another object, or a part of this one.
_OTHERS = word_set(
    "with near next behind beside besides holding under underneath beneath above below over between by against riding "
    "of that who which eating carrying pulling having has on in at wearing wears touching facing"
)
_WORN = word_set("with in wearing wears")  # after a person come the clothes, whose colour is the person's here
_PLACES = word_set("on in at to side part corner edge end far most very the of")  # between an object and its place


@dataclass(frozen=True, slots=True)
class Asked:
    """What a phrase asks for.

    Attributes:
        category: the category of its object, as the lexicon reads it; None if it does not tell.
        colours: the names of colours, of `aligncat.language.colours.COLOURS`.
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
    words = words_of(text)
    own = _own_words(words, clothed=category == PERSON)
    colours = [word for word in own if word in COLOUR_OF and not (word == "orange" and category == "orange")]
    aspects: list[Aspect] = []
    rank = 0
    for said in aspects_of(words):
        if said.aspect in _SIZES and said.word >= len(own):
            continue
        if said.rank and not rank:
            rank = said.rank
            aspects.insert(0, said.aspect)
        else:
            aspects.append(said.aspect)
    return Asked(
        category,
        frozenset(COLOUR_OF[word] for word in colours),
        tuple(dict.fromkeys(aspects)),
        rank,
        tuple(dict.fromkeys(colours)),
    )


def _own_words(words: list[str], *, clothed: bool) -> list[str]:
    """Return the words up to those that lead to another object, after any place that comes first."""
    for place, word in enumerate(words):
        ends = word in _OTHERS and not (clothed and word in _WORN)
        if ends and any(before not in ASPECTS and before not in _PLACES for before in words[:place]):
            return words[:place]
    return words
