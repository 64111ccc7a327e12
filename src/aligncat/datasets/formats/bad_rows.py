"""Checks for rows of annotation files, and the choice to raise, log or collect their errors."""

from __future__ import annotations

import logging
import posixpath
import unicodedata
from collections.abc import Container, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from types import TracebackType
from typing import TypeVar

from aligncat.errors import DataError
from aligncat.files.fields import check_encodable, is_name, required_str, shorten

Id = TypeVar("Id", str, int)

_SHOWN = 3
_NAME_BYTES = 255  # the most that the usual file systems allow

logger = logging.getLogger(__name__)


class BadRows:
    """A context manager around the reading of each row of a file: a bad row raises its DataError, or is skipped.

    Args:
        source: the file, for the report.
        skip: whether to skip bad rows. Otherwise, the first bad row raises its error.
        collected: a list to which the errors of all skipped rows are added. `report` then logs nothing.
        places: a dict to which the file and row of each referent are added, by referent id.
    """

    def __init__(
        self,
        source: Path,
        *,
        skip: bool,
        collected: list[DataError] | None = None,
        places: dict[str, str] | None = None,
    ) -> None:
        self.source = source
        self.skip = skip
        self.errors: list[DataError] = []
        self.remarks: list[str] = []
        self._collected = collected
        self._places = places

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self.skip and isinstance(error, DataError):
            self.errors.append(error)
            return True
        return False

    def keep_place(self, referent_id: str, where: str) -> None:
        """Keep the file and row of a referent, if they are asked for."""
        if self._places is not None:
            self._places.setdefault(referent_id, where)

    def remark(self, message: str) -> None:
        """Keep a message about a mask that is read in part, for `report`."""
        self.remarks.append(message)

    def report(self, kept: int) -> None:
        """Log a warning about masks that are read in part, and log skipped rows or add their errors to the given list.

        Args:
            kept: the number of usable rows.

        Raises:
            DataError: no row is usable, and no list collects the errors.
        """
        if self.remarks:
            logger.warning("%s: %d masks are read in part: %s", self.source, len(self.remarks), _listed(self.remarks))
        if self._collected is not None:
            self._collected += self.errors
            return
        shown = _listed(self.errors)
        if not kept:
            raise DataError(f"{self.source}: no usable row" + (f": {shown}" if shown else ""))
        if self.errors:
            logger.warning("%s: skipped %d bad rows, kept %d: %s", self.source, len(self.errors), kept, shown)


def _listed(messages: Sequence[object]) -> str:
    more = len(messages) - _SHOWN
    return "; ".join(map(str, messages[:_SHOWN])) + (f"; and {more} more" if more > 0 else "")


def expression_text(value: object, where: str) -> str:
    """Return an expression's text unchanged after checking that it contains more than spaces and punctuation.

    Args:
        value: the expression in the file.
        where: file and row, for the message.

    Raises:
        DataError: the value is not a string, contains half a character (a lone surrogate), or has only spaces and
            punctuation.
    """
    if not isinstance(value, str):
        raise DataError(f"{where}: the expression must be a string, not {shorten(value)}")
    if not any(character.isalnum() or unicodedata.category(character)[0] not in "PZC" for character in value):
        raise DataError(f"{where}: empty expression {shorten(value)}; write a phrase or remove the row")
    return check_encodable(value, where)


def check_split_name(name: str, where: str) -> str:
    """Return a split's name after checking that it can be part of a file name.

    Args:
        name: the name in the data.
        where: file and row, for the message.

    Raises:
        DataError: the name contains characters other than letters, digits and . _ + -, has more than 60, or is "." or
            "..".
    """
    if not is_name(name):
        raise DataError(
            f"{where}: {shorten(name)} cannot be a split's name; rename it, with at most 60 letters, digits and . _ + -"
        )
    return name


def required_photo(row: Mapping[str, object], key: str, where: str) -> str:
    """Return a photo's normalized path; see `photo_path`."""
    return photo_path(required_str(row, key, where), key, where)


def photo_path(name: str, key: str, where: str) -> str:
    """Return a photo's normalized path, which must be relative to the folder of the photos and must not leave it.

    Args:
        name: the path in the data.
        key: its key, for the message.
        where: file and row, for the message.

    Raises:
        DataError: the path is absolute, leaves the folder, or has a part that no file system can hold.
    """
    path = posixpath.normpath(name)
    if _is_absolute(name) or path.split("/")[0] == "..":
        raise DataError(
            f"{where}: {key!r} {shorten(name)} must be relative to the folder of the photos and lie inside it; set "
            "that folder with `images`"
        )
    if any(len(part.encode("utf-8", "surrogatepass")) > _NAME_BYTES for part in path.split("/")):
        raise DataError(f"{where}: {key!r} {shorten(name)} is too long for a file's name")
    return path


def _is_absolute(name: str) -> bool:
    """Return whether a path is absolute on any system. On Windows, that takes a drive's colon or two backslashes."""
    return name.startswith("/") or (("\\" in name or ":" in name) and PureWindowsPath(name).is_absolute())


def unique_id(value: Id, seen: Container[Id], where: str) -> Id:
    """Return the id, or raise a DataError if it was seen before."""
    if value in seen:
        raise DataError(f"{where}: the id {value} was used before; every id must occur once")
    return value
