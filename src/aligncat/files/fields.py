"""Typed access to the fields of rows parsed from JSON, TOML, pickles and similar files.

Each function takes the row, the key, and the row's location (file and line), which begins its error message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from aligncat.errors import DataError
from aligncat.wording import truncated

_NAME = re.compile(r"[\w.+-]{1,60}")


def as_mapping(value: object, where: str) -> Mapping[str, object]:
    """Return the row as a mapping from keys to values, or raise a DataError if it is not one."""
    if not isinstance(value, dict):
        raise DataError(f"{where}: must be a mapping of keys to values, not {shorten(value)}")
    return value


def required(row: Mapping[str, object], key: str, where: str) -> object:
    """Return the value of a required key."""
    try:
        return row[key]
    except KeyError:
        raise DataError(f"{where}: key {key!r} is missing") from None


def required_str(row: Mapping[str, object], key: str, where: str) -> str:
    """Return a required string, which must not be empty."""
    value = required(row, key, where)
    if not isinstance(value, str) or not value:
        raise DataError(f"{where}: {key!r} must be a string that is not empty, not {shorten(value)}")
    return check_encodable(value, where)


def required_int(row: Mapping[str, object], key: str, where: str) -> int:
    """Return a required integer of at most 64 bits."""
    value = required(row, key, where)
    if not isinstance(value, int) or not _is_integer(value):
        raise DataError(f"{where}: {key!r} must be a whole number, not {shorten(value)}")
    return value


def required_count(row: Mapping[str, object], key: str, where: str) -> int:
    """Return a required integer of at most 64 bits that is not negative."""
    count = required_int(row, key, where)
    if count < 0:
        raise DataError(f"{where}: {key!r} must not be negative, not {count}")
    return count


def required_share(row: Mapping[str, object], key: str, where: str) -> float:
    """Return a required number from 0 to 1."""
    value = required(row, key, where)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DataError(f"{where}: {key!r} must be a number from 0 to 1, not {shorten(value)}")
    return value


def optional_share(row: Mapping[str, object], key: str, where: str) -> float | None:
    """Return a number from 0 to 1, or None if it is null. The key must be there."""
    return None if required(row, key, where) is None else required_share(row, key, where)


def required_id(row: Mapping[str, object], key: str, where: str) -> str:
    """Return a required id, an integer or a non-empty string, as a string: 7, 7.0 and "7" are the same id."""
    value = whole(required(row, key, where))
    if not (_is_integer(value) or (isinstance(value, str) and value)):
        raise DataError(f"{where}: {key!r} must be an id (a whole number or a string), not {shorten(value)}")
    return check_encodable(str(value), where)


def whole(value: object) -> object:
    """Return 7 for 7.0, which pandas and others write for 7, and any other value unchanged."""
    # Above 2^53, a float no longer holds every integer.
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53 else value


def required_list(row: Mapping[str, object], key: str, where: str) -> list[object]:
    """Return a required list. A pickle may hold a tuple instead."""
    value = required(row, key, where)
    if not isinstance(value, list | tuple):
        raise DataError(f"{where}: {key!r} must be a list, not {shorten(value)}")
    return list(value)


def optional_strs(row: Mapping[str, object], key: str, where: str) -> tuple[str, ...]:
    """Return an optional list of strings as a tuple, which is empty if the key is missing or null."""
    value = row.get(key)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: {key!r} must be a list of strings, not {shorten(value)}")
    return tuple(check_encodable(item, where) for item in value)


def optional_str(row: Mapping[str, object], key: str, where: str) -> str | None:
    """Return an optional string, which must not be empty, or None if the key is missing or null."""
    return None if row.get(key) is None else required_str(row, key, where)


def check_encodable(text: str, where: str) -> str:
    """Return the text, or raise a DataError if it contains half a surrogate pair.

    JSON can express half a surrogate pair, but UTF-8 cannot encode it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: the text {shorten(text)} contains half a character ({error.reason}); correct it and save the "
            "file as UTF-8"
        ) from error
    return text


def _is_integer(value: object) -> bool:
    """Return whether the value is an integer of at most 64 bits. Python refuses to print very long integers."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def shorten(value: object) -> str:
    """Return a scalar's repr or any other value's type name, at most 60 characters long, for an error message."""
    text = repr(value) if isinstance(value, str | float | None) or _is_integer(value) else type(value).__name__
    return truncated(text, 60)


def is_name(text: str) -> bool:
    """Return whether the text can be part of a file name: 1 to 60 letters, digits, . _ + or -, and no "." or ".."."""
    return text not in (".", "..") and _NAME.fullmatch(text) is not None
