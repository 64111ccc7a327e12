"""aligncat: find the object that a phrase means, learned from photos and phrases alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligncat.grounder.grounder import Grounder
    from aligncat.types import Candidates, Expression, Grounding, Truth

__all__ = ["Candidates", "Expression", "Grounder", "Grounding", "Truth"]


def __getattr__(name: str) -> Any:
    """Import at first use: the command line must not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("aligncat.grounder.grounder" if name == "Grounder" else "aligncat.types"), name)
