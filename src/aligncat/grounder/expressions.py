"""Check the expressions that a caller gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aligncat.errors import DataError
from aligncat.files.fields import shorten
from aligncat.language.tokens import Tokens


def checked_phrases(expressions: str | Sequence[str], vocabulary: Tokens) -> list[str]:
    """Return one or several expressions as a list, after checks that are made before any slow work.

    Args:
        expressions: one phrase, or several.
        vocabulary: splits a phrase into words.

    Raises:
        DataError: there are no expressions, or one is not text or has no words.
    """
    if isinstance(expressions, bytes | bytearray) or not isinstance(expressions, Iterable):
        raise DataError(f"the expressions are of type {type(expressions).__name__}; give text, or a list of texts")
    phrases = [expressions] if isinstance(expressions, str) else list(expressions)
    if not phrases:
        raise DataError("no expression given; give at least one phrase that names an object")
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise DataError(f"the expression {shorten(phrase)} is of type {type(phrase).__name__}; give text")
        if not vocabulary.words_of(phrase):
            raise DataError(f"the expression {phrase!r} has no words; give a phrase that names an object")
    return phrases
