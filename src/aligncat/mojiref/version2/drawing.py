"""One drawing of version 2."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A drawing of OpenMoji and what a viewer may say of it.

    Attributes:
        code: OpenMoji's hexcode without a skin tone, which is the file's name.
        nouns: nouns that are true of it, the most usual first.
        tint: whether it may be drawn in another colour than its own.
        skin: whether OpenMoji has it in five skin tones, and a phrase names no colour of skin.
        color: the colour word of its own colours; None if none fits, "auto" for the one that dominates its pixels.
        texture: "plain" if OpenMoji draws it without a pattern; None if a viewer could see one.
        wears: what a person has on or holds.
        does: what a person does; None if it only faces the viewer.
        weight: how often it is drawn, relative to the other drawings of its category.
    """

    code: str
    nouns: tuple[str, ...]
    tint: bool = True
    skin: bool = False
    color: str | None = "auto"
    texture: str | None = "plain"
    wears: tuple[str, ...] = ()
    does: str | None = None
    weight: float = 1.0


def nouns_of(*lists: str) -> tuple[str, ...]:
    """Return the nouns of comma-separated lists, each once."""
    return tuple(dict.fromkeys(noun.strip() for nouns in lists for noun in nouns.split(",")))
