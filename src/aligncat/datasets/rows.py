"""Rows of annotation files: typed fields, and what happens to a row that is not as its format asks."""

from __future__ import annotations

import json
import logging
import posixpath
import re
import unicodedata
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import TypeVar

from aligncat.errors import DataError

Id = TypeVar("Id", str, int)

_SHOWN = 3
_SPLIT_NAME = re.compile(r"[\w.+-]+")

logger = logging.getLogger(__name__)

_gathered: ContextVar[list[DataError] | None] = ContextVar("bad rows gathered", default=None)


@contextmanager
def gather_bad_rows() -> Iterator[list[DataError]]:
    """Within this, every bad row that a reader skips goes into a list, in full, in place of the reader's warning."""
    errors: list[DataError] = []
    token = _gathered.set(errors)
    try:
        yield errors
    finally:
        _gathered.reset(token)


class BadRows:
    """A context for reading one row: lets its error out, or (skip) swallows, counts and later reports it.

    Only DataError is ever swallowed.
    """

    def __init__(self, source: Path, *, skip: bool) -> None:
        """
        Args:
            source: the file, named in the report.
            skip: whether to go on after a bad row.
        """
        self.source = source
        self.skip = skip
        self.errors: list[DataError] = []

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
        """Say in one warning what was skipped, if anything was; or hand it to `gather_bad_rows`.

        Args:
            kept: how many rows were read well.

        Raises:
            DataError: when none was, and nobody gathers what was skipped.
        """
        gathered = _gathered.get()
        if gathered is not None:
            gathered += self.errors
            return
        shown = "; ".join(str(error) for error in self.errors[:_SHOWN])
        if len(self.errors) > _SHOWN:
            shown += f"; and {len(self.errors) - _SHOWN} more"
        if not kept:
            raise DataError(f"{self.source}: no usable row" + (f": {shown}" if shown else ""))
        if self.errors:
            logger.warning("%s: skipped %d bad rows, kept %d: %s", self.source, len(self.errors), kept, shown)


def as_mapping(value: object, where: str) -> Mapping[str, object]:
    """The row as a mapping from key to value, or a DataError."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: must be a mapping of keys to values, not {shorten(value)}")
    return value


def required(row: Mapping[str, object], key: str, where: str) -> object:
    """The value of a key that the row must have."""
    try:
        return row[key]
    except KeyError:
        raise DataError(f"{where}: key {key!r} is missing") from None


def required_str(row: Mapping[str, object], key: str, where: str) -> str:
    """A key that must hold a string with something in it."""
    value = required(row, key, where)
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}: {key!r} must be a string that is not empty, not {shorten(value)}")
    return _writable(value, where)


def required_int(row: Mapping[str, object], key: str, where: str) -> int:
    """A key that must hold a whole number."""
    value = required(row, key, where)
    if not isinstance(value, int) or not _is_integer(value):
        raise DataError(f"{where}: {key!r} must be a whole number, not {shorten(value)}")
    return value


def required_id(row: Mapping[str, object], key: str, where: str) -> str:
    """A key that must hold an id, a whole number or a string; as a string, so that 7 and "7" are the same."""
    value = required(row, key, where)
    if not (_is_integer(value) or (isinstance(value, str) and value)):
        raise DataError(f"{where}: {key!r} must be an id (a whole number or a string), not {shorten(value)}")
    return _writable(str(value), where)


def required_list(row: Mapping[str, object], key: str, where: str) -> list[object]:
    """A key that must hold a list (or a tuple, which pickles may have instead)."""
    value = required(row, key, where)
    if not isinstance(value, list | tuple):
        raise DataError(f"{where}: {key!r} must be a list, not {shorten(value)}")
    return list(value)


def optional_strs(row: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    """A key that may hold a list of strings; empty where it is absent."""
    value = row.get(key)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: {key!r} must be a list of strings, not {shorten(value)}")
    return tuple(_writable(item, where) for item in value)


def optional_str(row: Mapping[str, object], key: str, where: str) -> str | None:
    """A key that may hold a string with something in it; None where it is absent or null."""
    return None if row.get(key) is None else required_str(row, key, where)


def expression_text(value: object, where: str) -> str:
    """Check that an expression says something.

    Args:
        value: what the file has in the place of the expression.
        where: file and row, for the message.

    Returns:
        The text, as its author wrote it.

    Raises:
        DataError: when it is no string, holds half a character, or is only spaces and punctuation, of which no word
            would be left.
    """
    if not isinstance(value, str):
        raise DataError(f"{where}: the expression must be a string, not {shorten(value)}")
    if not any(character.isalnum() or unicodedata.category(character)[0] not in "PZC" for character in value):
        raise DataError(f"{where}: empty expression {shorten(value)}; write a phrase, or remove the row")
    return _writable(value, where)


def check_split_name(name: str, where: str) -> str:
    """Check that a split's name can be a file's, as it becomes one in JSON lines and in results.

    Args:
        name: as the data has it.
        where: file and row, for the message.

    Raises:
        DataError: when it has other characters than letters, digits and . _ + -, or is "." or "..".
    """
    if name in (".", "..") or not _SPLIT_NAME.fullmatch(name):
        raise DataError(
            f"{where}: {shorten(name)} cannot be a split's name, which has letters, digits and . _ + - alone; rename it"
        )
    return name


def required_photo(row: Mapping[str, object], key: str, where: str) -> str:
    """A key that must hold the file of a photo, below the folder of the photos; two spellings of one path are one."""
    name = required_str(row, key, where)
    path = posixpath.normpath(name)
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute() or path.split("/")[0] == "..":
        raise DataError(
            f"{where}: {key!r} {shorten(name)} must be relative to the folder of the photos and in it, so that the "
            "data can be moved; name that folder with `images`"
        )
    return path


def unique_id(value: Id, seen: Container[Id], where: str) -> Id:
    """The id, or a DataError where it was seen before."""
    if value in seen:
        raise DataError(f"{where}: the id {value} was used before; every id must occur once")
    return value


def read_text(path: Path) -> str:
    """All of a text file, without a byte order mark.

    Raises:
        DataError: when it cannot be read, or is not UTF-8, as a file in Latin-1 is not.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error}); save it as UTF-8") from error


def parse_json(text: str, where: str) -> object:
    """Parse one JSON document.

    Raises:
        DataError: when it is not JSON, saying where in it.
    """
    try:
        return json.loads(text)
    except ValueError as error:  # JSONDecodeError, or a number of thousands of digits
        raise DataError(f"{where}: not JSON ({error})") from error
    except RecursionError:
        raise DataError(f"{where}: not an annotation file, its JSON is nested too deeply") from None


def _writable(text: str, where: str) -> str:
    """The text, or a DataError for half of a surrogate pair, which JSON can spell and no file in UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: the text {shorten(text)} holds half a character ({error.reason}); write it again in UTF-8"
        ) from error
    return text


def _is_integer(value: object) -> bool:
    """Whether it is an id or a count: a whole number of 64 bits, as longer ones cannot always be printed."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def shorten(value: object) -> str:
    """The value as a message shows it: its type and the beginning of it."""
    text = repr(value) if isinstance(value, str | float | None) or _is_integer(value) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
