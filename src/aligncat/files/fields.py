"""Typed fields of rows parsed from JSON, TOML, pickles and the like.

Each reader takes the row, the key, and where the row is (file and line) for the error message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from aligncat.errors import DataError

_NAME = re.compile(r"[\w.+-]+")


def as_mapping(value: object, where: str) -> Mapping[str, object]:
    """Return the row as a mapping from key to value, or raise a DataError."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: must be a mapping of keys to values, not {shorten(value)}")
    return value


def required(row: Mapping[str, object], key: str, where: str) -> object:
    """Return the value of a key that the row must have."""
    try:
        return row[key]
    except KeyError:
        raise DataError(f"{where}: key {key!r} is missing") from None


def required_str(row: Mapping[str, object], key: str, where: str) -> str:
    """Return a string that must be there and not be empty."""
    value = required(row, key, where)
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}: {key!r} must be a string that is not empty, not {shorten(value)}")
    return writable(value, where)


def required_int(row: Mapping[str, object], key: str, where: str) -> int:
    """Return a whole number that must be there."""
    value = required(row, key, where)
    if not isinstance(value, int) or not _is_integer(value):
        raise DataError(f"{where}: {key!r} must be a whole number, not {shorten(value)}")
    return value


def required_id(row: Mapping[str, object], key: str, where: str) -> str:
    """Return an id that must be there, a whole number or a string, as a string: 7 and "7" are the same id."""
    value = required(row, key, where)
    if not (_is_integer(value) or (isinstance(value, str) and value)):
        raise DataError(f"{where}: {key!r} must be an id (a whole number or a string), not {shorten(value)}")
    return writable(str(value), where)


def required_list(row: Mapping[str, object], key: str, where: str) -> list[object]:
    """Return a list that must be there; a pickle may hold a tuple instead."""
    value = required(row, key, where)
    if not isinstance(value, list | tuple):
        raise DataError(f"{where}: {key!r} must be a list, not {shorten(value)}")
    return list(value)


def optional_strs(row: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    """Return a list of strings as a tuple, empty where the key is absent or null."""
    value = row.get(key)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: {key!r} must be a list of strings, not {shorten(value)}")
    return tuple(writable(item, where) for item in value)


def optional_str(row: Mapping[str, object], key: str, where: str) -> str | None:
    """Return a string that must not be empty, or None where the key is absent or null."""
    return None if row.get(key) is None else required_str(row, key, where)


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 text file, without a byte order mark.

    Raises:
        DataError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text ({error}); save it as UTF-8") from error


def parse_json(text: str, where: str) -> object:
    """Parse one JSON document.

    Raises:
        DataError: the text is not JSON; the message says where.
    """
    try:
        return json.loads(text)
    except ValueError as error:  # JSONDecodeError, or a number of thousands of digits
        raise DataError(f"{where}: not JSON ({error})") from error
    except RecursionError:
        raise DataError(f"{where}: not an annotation file, its JSON is nested too deeply") from None


def writable(text: str, where: str) -> str:
    """Return the text, or raise a DataError for half a surrogate pair: JSON can spell it, UTF-8 cannot hold it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: the text {shorten(text)} holds half a character ({error.reason}); write it again in UTF-8"
        ) from error
    return text


def _is_integer(value: object) -> bool:
    """Return whether the value is a whole number of at most 64 bits; longer ones cannot always be printed."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def shorten(value: object) -> str:
    """Return the value, or its type, as an error message shows it: at most 60 characters."""
    text = repr(value) if isinstance(value, str | float | None) or _is_integer(value) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def is_name(text: str) -> bool:
    """Return whether the text can be part of a file name: letters, digits and . _ + - alone, not "." or ".."."""
    return text not in (".", "..") and _NAME.fullmatch(text) is not None
