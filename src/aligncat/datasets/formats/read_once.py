"""Annotation files are read once where several splits are asked of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_kept: ContextVar[dict[tuple[str, Path], Any] | None] = ContextVar("annotation files read", default=None)


@contextmanager
def files_read_once() -> Iterator[None]:
    """Within this, every annotation file is read and parsed once, however many splits and truths are loaded from it.

    RefCOCO's files take seconds to parse and half a gigabyte of memory, so they are kept no longer than this lasts.
    """
    if _kept.get() is not None:  # within another, which keeps them longer
        yield
        return
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def read_once(what: str, path: Path, read: Callable[[], T]) -> T:
    """What `read` makes of a file; within `files_read_once`, what it made of it the first time.

    Args:
        what: which of the things that are made of this file.
        path: the file.
        read: makes it; nobody may change what it returns.
    """
    kept = _kept.get()
    if kept is None:
        return read()
    if (what, path) not in kept:
        kept[what, path] = read()
    found: T = kept[what, path]
    return found
