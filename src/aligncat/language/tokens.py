"""Split expressions into words, by one of two rules.

Rule 1 is that of QueryMatch and the REFER toolkits. Rule 2 also separates words at characters that rule 1 removes or
keeps inside a word, and reads typographic quotes as ASCII ones. New grounders have rule 2. Imported QueryMatch models
and grounders of earlier versions, whose config.json records no rule, have rule 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

FIRST_RULE = 1
RULE = 2
"""The rule of new grounders."""
RULE_KEY = "words"
"""The key of a grounder's config.json, and of a run's settings, that records the rule. Without it: FIRST_RULE."""

_REMOVED = ".,'!?\"()*#:"
_QUOTES = "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{SINGLE LOW-9 QUOTATION MARK}"
_QUOTES += "\N{SINGLE HIGH-REVERSED-9 QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}\N{LEFT DOUBLE QUOTATION MARK}"
_QUOTES += "\N{RIGHT DOUBLE QUOTATION MARK}\N{DOUBLE LOW-9 QUOTATION MARK}\N{DOUBLE HIGH-REVERSED-9 QUOTATION MARK}"
_DASHES = "\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FIGURE DASH}\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}\N{MINUS SIGN}"
_APART = "-/;_" + _DASHES + "\N{HORIZONTAL ELLIPSIS}"
_DOTS = re.compile(r"\.\.+")  # an ellipsis in ASCII
_TABLES = {
    FIRST_RULE: str.maketrans({**dict.fromkeys(_REMOVED + ";", None), **dict.fromkeys("-/", " ")}),
    RULE: str.maketrans(
        {
            **dict.fromkeys(_REMOVED + _QUOTES, None),
            **dict.fromkeys(_APART, " "),
        }
    ),
}


class Tokens(Protocol):
    """An object that turns expressions into token ids: a Vocabulary, or a transformer's WordPieces."""

    def ids(self, texts: Sequence[str], max_length: int) -> NDArray[np.int64]:
        """Return the token ids of B expressions, (B, L), padded with 0 (PAD) at the end."""
        ...

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Return `ids` as a tensor."""
        ...

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Return (word, weight) pairs in order, given one weight per token."""
        ...

    def words_of(self, text: str) -> list[str]:
        """Return the words of an expression, in order; empty if it has none."""
        ...

    def unknown(self, text: str) -> tuple[str, ...]:
        """Return the words of an expression that it has no token for, in order and without duplicates."""
        ...

    def __len__(self) -> int: ...


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text that are separated by white space, as a set."""
    return frozenset(words.split())


def tokenize(text: str, rule: int = FIRST_RULE) -> list[str]:
    """Split an expression into lower-case words.

    Rule 1 removes the characters ``.,'!?"()*#:;``. White space, ``-`` and ``/`` separate words. In rule 2, ``;``,
    ``_``, the ellipsis character, two or more full stops and typographic dashes separate words too, and typographic
    quotes and apostrophes are removed like ASCII ones.

    Args:
        text: an expression as its author wrote it.
        rule: FIRST_RULE or RULE.

    Returns:
        The words in order; empty if the text has none.
    """
    lower = text.lower() if rule == FIRST_RULE else _DOTS.sub(" ", text.lower())
    return lower.translate(_TABLES[rule]).split()


def as_written(text: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return words of an expression as its author wrote them, without duplicates.

    Args:
        text: the expression.
        words: some of its words, from `tokenize` by either rule.

    Returns:
        For each word, the part of the text between white space that has it, without punctuation at its ends. The word
        itself if the part has others too ("red-nosed"), unless it is only a piece of odd text ("<b>cat</b>").
    """
    parts = text.split()
    return tuple(dict.fromkeys(_as_written(parts, word) for word in words))


def _as_written(parts: Sequence[str], word: str) -> str:
    for part in parts:
        for rule in _TABLES:
            found = tokenize(part, rule)
            if word in found and (len(found) == 1 or not word.isalnum()):
                return part.strip(_REMOVED + _QUOTES + _APART) or word  # to rule 1, a lone dash is a word
    return word
