"""Split expressions into words, by the rules of QueryMatch and the REFER toolkits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_RULES = str.maketrans({**dict.fromkeys(".,'!?\"()*#:;", None), "-": " ", "/": " "})


class Tokens(Protocol):
    """An object that turns expressions into token ids: a Vocabulary, or a transformer's WordPieces."""

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Return the token ids of B expressions, (B, L) int64, padded with 0 (PAD) at the end."""
        ...

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """Return (word, weight) pairs in order, given one weight per token."""
        ...

    def __len__(self) -> int: ...


def tokenize(text: str) -> list[str]:
    """Split an expression into lower-case words.

    The characters ``.,'!?"()*#:;`` are removed. White space, ``-`` and ``/`` separate words.

    Args:
        text: an expression as its author wrote it.

    Returns:
        The words in order; empty if the text has none.
    """
    return text.lower().translate(_RULES).split()
