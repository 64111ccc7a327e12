"""The wording of a phrase of version 2: a noun, its attributes, and their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aligncat.mojiref.grammar import Flavour
from aligncat.mojiref.version2 import words
from aligncat.mojiref.version2.attributes import Attribute

_LONG_LINK_RATE = 0.4  # share of the relations, actions and orders of long phrases with "that is"
_AFTER_RATE = 0.3  # share of the patterns and orders that come after the noun, where both are possible


@dataclass(frozen=True, slots=True)
class Wording:
    """What the wording of a phrase needs beside its attributes.

    Attributes:
        person: whether the referent is a person, whose colour and pattern are those of the clothes.
        flavour: determines the style.
        nouns: the nouns that may be used, the most usual first.
        anchors: id of an anchor -> its nouns.
    """

    person: bool
    flavour: Flavour
    nouns: tuple[str, ...]
    anchors: Mapping[int, tuple[str, ...]]

    @property
    def long(self) -> bool:
        """Whether phrases are whole noun phrases."""
        return self.flavour == "mojirefg"


def word_phrase(rng: np.random.Generator, wording: Wording, attributes: Sequence[Attribute]) -> str:
    """Return a phrase for a referent.

    Args:
        rng: chooses the words.
        wording: the nouns and the style.
        attributes: the attributes to mention, at most one of each kind.
    """
    writer = _Writer(rng, wording)
    values: dict[str, str] = {attribute.kind: attribute.value for attribute in attributes}
    noun = writer.noun(wording.nouns)
    phrase = writer.person(noun, values) if wording.person else writer.thing(noun, values)
    if "size" in values:
        phrase = f"{writer.pick(words.SIZES[values['size']])} {phrase}"
    related = "relation" in values
    if "place" in values:
        phrase = writer.place(phrase, values["place"], first=related)
    if "order" in values:
        phrase = writer.order(phrase, values["order"], first=related)
    for attribute in attributes:
        if attribute.anchor is not None:
            phrase = writer.relation(phrase, attribute.value, wording.anchors[id(attribute.anchor)])
    return writer.with_article(phrase, noun, counted="order" in values) if wording.long else phrase


class _Writer:
    """Chooses words and forms.

    Args:
        rng: makes the choices.
        wording: the nouns and the style.
    """

    def __init__(self, rng: np.random.Generator, wording: Wording) -> None:
        self._rng = rng
        self._wording = wording

    def pick(self, options: Sequence[str]) -> str:
        """Return one of several words or forms, each equally often."""
        return options[int(self._rng.integers(len(options)))]

    def noun(self, nouns: Sequence[str]) -> str:
        """Return a noun: the n-th of a list n times as rarely as the first."""
        weights = 1 / np.arange(1, len(nouns) + 1)
        return nouns[int(self._rng.choice(len(nouns), p=weights / weights.sum()))]

    def thing(self, phrase: str, values: Mapping[str, str]) -> str:
        """Add colour and pattern to a thing or an animal."""
        color, texture = values.get("color"), values.get("texture")
        if texture is None:
            return phrase if color is None else f"{color} {phrase}"
        if self._rng.random() < _AFTER_RATE:
            after = self.pick(words.TEXTURES_AFTER[texture])
            return f"{phrase} {after}" if color is None else f"{color} {phrase} {after}"
        pair = [self.pick(words.TEXTURES[texture]), *([] if color is None else [color])]
        return " ".join([*(pair if self._rng.random() < 0.5 else reversed(pair)), phrase])

    def person(self, phrase: str, values: Mapping[str, str]) -> str:
        """Add clothes and what is done to a person."""
        action = values.get("action")
        synonym = None if action is None else self.pick(words.ACTIONS[action])
        if synonym in words.ACTIONS_BEFORE and self._rng.random() < _AFTER_RATE:
            phrase, synonym = f"{synonym} {phrase}", None
        color, texture = values.get("color"), values.get("texture")
        if texture is not None:
            pair = [self.pick(words.TEXTURES[texture]), *([] if color is None else [color])]
            ordered = pair if self._rng.random() < 0.5 else pair[::-1]
            phrase = self._worn(phrase, words.WORN_TEXTURES, " ".join(ordered))
        elif color is not None:
            phrase = self._worn(phrase, words.WORN_COLORS, color)
        if "clothes" in values:
            phrase = self._clothes(phrase, values["clothes"], dressed=color is not None or texture is not None)
        if synonym is None:
            return phrase
        linked = self._wording.long and synonym.endswith("ing") and self._rng.random() < _LONG_LINK_RATE
        return f"{phrase} who is {synonym}" if linked else f"{phrase} {synonym}"

    def _worn(self, phrase: str, forms: Sequence[str], value: str) -> str:
        return _with_an(self.pick(forms).format(n=phrase, v=value))

    def _clothes(self, phrase: str, thing: str, *, dressed: bool) -> str:
        synonyms, held = words.CLOTHES[thing]
        synonym = self.pick(synonyms)
        forms: Sequence[str] = (
            words.WITH_CLOTHES if dressed else (*words.WITH_CLOTHES, *(words.HOLDING if held else words.WEARING))
        )
        if synonym in words.NO_ARTICLE:
            forms = [form for form in forms if " a " not in form]
        return self.pick(forms).format(n=phrase, v=synonym)

    def place(self, phrase: str, place: str, *, first: bool) -> str:
        """Add a place; before the noun if a relation follows, as in "top car left of the bus"."""
        forms = words.LONG_PLACES[place] if self._wording.long and not first else words.PLACES[place]
        return self.pick(forms[-1:] if first else forms).format(n=phrase, p=self.pick(words.PICTURES))

    def order(self, phrase: str, order: str, *, first: bool) -> str:
        """Add an order, such as "2 left"; as one word before the noun if a relation follows."""
        rank, side = order.split()
        if first or (rank == "1" and self._rng.random() < 0.6):
            return self.pick(words.ENDS).format(n=phrase, s=side)
        ordinal = self.pick(words.ORDINALS[int(rank)])
        if self._rng.random() >= _AFTER_RATE:
            return self.pick(words.COUNTED).format(n=phrase, o=ordinal, s=side)
        linked = self._wording.long and self._rng.random() < _LONG_LINK_RATE
        return self.pick(words.COUNTED_AFTER).format(n=f"{phrase} that is" if linked else phrase, o=ordinal, s=side)

    def relation(self, phrase: str, relation: str, anchors: Sequence[str]) -> str:
        """Add a relation to another object."""
        link, anchor = self.pick(words.RELATIONS[relation]), self.noun(anchors)
        if self._wording.long or self._rng.random() < 0.7:  # short phrases often drop the article
            anchor = f"the {anchor}"
        linked = self._wording.long and self._rng.random() < _LONG_LINK_RATE
        return f"{phrase} that is {link} {anchor}" if linked else f"{phrase} {link} {anchor}"

    def with_article(self, phrase: str, noun: str, *, counted: bool) -> str:
        """Put an article before a phrase."""
        if counted or noun in words.PLURALS:
            return f"the {phrase}"
        return f"{self.pick(('the', 'an' if phrase[0] in 'aeiou' else 'a'))} {phrase}"


def _with_an(phrase: str) -> str:
    """Return a phrase with "an" before the colour "orange"."""
    return phrase.replace(" a orange", " an orange")
