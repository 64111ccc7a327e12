"""What speaks against an answer of the training-free grounder: what its rules could not do with the phrase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aligncat.grounder.asked import Asked
from aligncat.phrases.colours import colour_words
from aligncat.phrases.nouns import PERSON
from aligncat.wording import listed_words

NO_CATEGORY = "The phrase names no category that is known, so every object counted."
"""A warning, for `Grounding.warnings`."""


def rule_doubts(asked: Asked, counted: int, colour: NDArray[np.floating] | None) -> tuple[str, ...]:
    """Return the warnings of one answer, each a sentence, for `Grounding.warnings`.

    Args:
        asked: what the phrase asks for.
        counted: the number of objects among which a place in an order counts.
        colour: (17,), the column `colour` of the chosen object; None if there is none.
    """
    found = [] if asked.category else [NO_CATEGORY]
    if asked.colours and colour is not None:
        found += _colour_doubts(asked, counted, colour)
    if asked.rank >= counted:
        objects = "object counts" if counted == 1 else "objects count"
        found.append(
            f"The phrase asks for number {asked.rank + 1} in an order, and only {counted} {objects}, so the last was "
            "chosen."
        )
    return tuple(found)


def _colour_doubts(asked: Asked, counted: int, colour: NDArray[np.floating]) -> list[str]:
    """Return what speaks against the colour of the chosen object.

    An object of an asked colour is chosen if there is any, so a choice of another colour says that there was none. Many
    objects have no clear colour; that is no doubt where the colour had nothing to decide.
    """
    person = asked.category == PERSON
    wanted = listed_words(asked.colour_words)
    words, main = colour_words(colour, person=person), colour_words(colour, person=person, margin=0)
    none = f"None of the objects that may be meant was found to be {wanted}"
    if asked.colours & main or (not words and counted == 1):
        return []
    if asked.colours & words:
        return [f"The chosen object is {listed_words(sorted(main))} rather than {wanted}; the two are close."]
    if words:
        return [f"{none}; the chosen one is {listed_words(sorted(main))}."]
    return [f"{none}, so the colour was ignored."]
