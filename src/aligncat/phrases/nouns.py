"""The nouns, plurals and articles of phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import cast

from aligncat.datasets.categories import canonical_category
from aligncat.datasets.lexicon import regular_plural
from aligncat.files.documents import parse_toml

PERSON = "person"
"""The category whose colours are those of the clothes."""

_IRREGULAR = {
    "person": "people",
    "man": "men",
    "woman": "women",
    "child": "children",
    "knife": "knives",
    "mouse": "mice",
    "sheep": "sheep",
    "aircraft": "aircraft",
    "luggage": "luggage",
    "broccoli": "broccoli",
    "skis": "skis",
    "scissors": "scissors",
}
_PLURAL_ONLY = ("skis", "scissors")


@cache
def _entries() -> dict[str, tuple[str, ...]]:
    text = files("aligncat.phrases").joinpath("nouns.toml").read_text(encoding="utf-8")
    tables = cast(Mapping[str, Sequence[str]], parse_toml(text, "nouns.toml"))
    return {canonical_category(name): tuple(nouns) for name, nouns in tables.items()}


def nouns_of(label: str) -> tuple[str, ...]:
    """Return the nouns for an object of a category; for an unknown category, its name as words.

    Args:
        label: the category in the detector's spelling, such as "dining_table".
    """
    return _entries().get(canonical_category(label), (" ".join(label.replace("_", " ").lower().split()),))


def is_person(label: str) -> bool:
    """Return whether a detector's category is that of people."""
    return canonical_category(label) == PERSON


def plural(noun: str) -> str:
    """Return the plural of a noun, which may have several words."""
    *first, last = noun.split(" ")
    return " ".join((*first, _IRREGULAR.get(last, regular_plural(last))))


def with_indefinite(phrase: str, noun: str) -> str:
    """Return a phrase with "a" or "an" before it, or with "the" if its noun has no singular or cannot be counted.

    Args:
        phrase: a noun phrase without an article.
        noun: its head noun.
    """
    last = noun.split(" ")[-1]
    if last in _PLURAL_ONLY or last in ("luggage", "broccoli"):
        return f"the {phrase}"
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"
