"""Plurals of MojiRef's nouns."""

from __future__ import annotations

_IRREGULAR = {
    "man": "men",
    "old man": "old men",
    "woman": "women",
    "old woman": "old women",
    "policeman": "policemen",
    "person": "people",
    "child": "children",
    "knife": "knives",
    "mouse": "mice",
    "computer mouse": "computer mice",
    "slice of pizza": "slices of pizza",
    "sheep": "sheep",
}
# Nouns of which several are counted in another way ("pairs of skis"), or whose plural means something else ("glasses").
_NO_PLURAL = {"skis", "scissors", "luggage", "broccoli", "orange fruit", "glass", "shirt and tie"}


def plural_of(noun: str) -> str | None:
    """Return the plural of a noun; None if phrases do not use one."""
    if noun in _NO_PLURAL:
        return None
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith(("s", "ch", "sh")):
        return f"{noun}es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}s"
