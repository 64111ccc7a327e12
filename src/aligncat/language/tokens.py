"""Sentence -> words, by the rules that QueryMatch and the REFER toolkits share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_RULES = str.maketrans({**dict.fromkeys(".,'!?\"()*#:;", None), "-": " ", "/": " "})


class Tokens(Protocol):
    """How expressions become token ids: a Vocabulary, or a transformer's WordPieces."""

    def encode(self, texts: Sequence[str], max_length: int) -> Tensor:
        """(B, L) int64 token ids of B sentences, with 0 (PAD) at the end of the shorter ones."""
        ...

    def weigh(self, text: str, weights: Sequence[float]) -> tuple[tuple[str, float], ...]:
        """(word, weight) in order, from one weight for each token."""
        ...

    def __len__(self) -> int: ...


def tokenize(text: str) -> list[str]:
    """Split an expression into lower-case words.

    The marks ``.,'!?"()*#:;`` are dropped, ``-`` and ``/`` separate words, and so does any white space.

    Args:
        text: a sentence as its author wrote it.

    Returns:
        Its words in order; empty where nothing but marks and space is left.
    """
    return text.lower().translate(_RULES).split()
