"""A server that grounds phrases over HTTP, and its client. Nothing of the model lives here: it calls `Grounder`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aligncat.serving.client import Client, PhotoGroundings

__all__ = ["Client", "PhotoGroundings"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, because the client needs the extra [serve]."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("aligncat.serving.client"), name)
