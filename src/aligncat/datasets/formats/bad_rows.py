"""Check rows of annotation files, and raise, log or collect what is wrong with them."""

from __future__ import annotations

import logging
import posixpath
import unicodedata
from collections.abc import Container, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import TypeVar

from aligncat.errors import DataError
from aligncat.files.fields import is_name, required_str, shorten, writable

Id = TypeVar("Id", str, int)

_SHOWN = 3

logger = logging.getLogger(__name__)


class BadRows:
    """Context manager for reading one row: lets its DataError out, or keeps it and goes on with the next row."""

    def __init__(self, source: Path, *, skip: bool, collected: list[DataError] | None = None) -> None:
        """Decide what happens to a bad row.

        Args:
            source: the file, named in the report.
            skip: whether to go on after a bad row.
            collected: a list that takes the errors of all skipped rows; `report` then logs nothing.
        """
        self.source = source
        self.skip = skip
        self.errors: list[DataError] = []
        self._collected = collected

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self.skip and isinstance(error, DataError):
            self.errors.append(error)
            return True
        return False

    def report(self, kept: int) -> None:
        """Log one warning about all skipped rows, or add their errors to the list that collects them.

        Args:
            kept: how many rows are usable.

        Raises:
            DataError: no row is usable, and no list collects the errors.
        """
        if self._collected is not None:
            self._collected += self.errors
            return
        shown = "; ".join(str(error) for error in self.errors[:_SHOWN])
        if len(self.errors) > _SHOWN:
            shown += f"; and {len(self.errors) - _SHOWN} more"
        if not kept:
            raise DataError(f"{self.source}: no usable row" + (f": {shown}" if shown else ""))
        if self.errors:
            logger.warning("%s: skipped %d bad rows, kept %d: %s", self.source, len(self.errors), kept, shown)


def expression_text(value: object, where: str) -> str:
    """Return an expression's text after checking that it has a word.

    Args:
        value: the expression as the file has it.
        where: file and row, for the message.

    Returns:
        The text, unchanged.

    Raises:
        DataError: the value is not a string, holds half a character, or is only spaces and punctuation.
    """
    if not isinstance(value, str):
        raise DataError(f"{where}: the expression must be a string, not {shorten(value)}")
    if not any(character.isalnum() or unicodedata.category(character)[0] not in "PZC" for character in value):
        raise DataError(f"{where}: empty expression {shorten(value)}; write a phrase, or remove the row")
    return writable(value, where)


def check_split_name(name: str, where: str) -> str:
    """Return a split's name after checking that it can be part of a file name.

    Args:
        name: the name in the data.
        where: file and row, for the message.

    Raises:
        DataError: the name has other characters than letters, digits and . _ + -, or is "." or "..".
    """
    if not is_name(name):
        raise DataError(
            f"{where}: {shorten(name)} cannot be a split's name, which has letters, digits and . _ + - alone; rename it"
        )
    return name


def required_photo(row: Mapping[str, object], key: str, where: str) -> str:
    """Return a photo's normalized path, which must be relative to the folder of the photos and inside it."""
    name = required_str(row, key, where)
    path = posixpath.normpath(name)
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute() or path.split("/")[0] == "..":
        raise DataError(
            f"{where}: {key!r} {shorten(name)} must be relative to the folder of the photos and in it, so that the "
            "data can be moved; name that folder with `images`"
        )
    return path


def unique_id(value: Id, seen: Container[Id], where: str) -> Id:
    """Return the id, or raise a DataError if it was seen before."""
    if value in seen:
        raise DataError(f"{where}: the id {value} was used before; every id must occur once")
    return value
