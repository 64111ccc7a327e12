"""Sentence -> words, by the rules that QueryMatch and the REFER toolkits share."""

from __future__ import annotations

_RULES = str.maketrans({**dict.fromkeys(".,'!?\"()*#:;", None), "-": " ", "/": " "})


def tokenize(text: str) -> list[str]:
    """Split an expression into lower-case words.

    The marks ``.,'!?"()*#:;`` are dropped, ``-`` and ``/`` separate words, and so does any white space.

    Args:
        text: a sentence as its author wrote it.

    Returns:
        Its words in order; empty where nothing but marks and space is left.
    """
    return text.lower().translate(_RULES).split()
