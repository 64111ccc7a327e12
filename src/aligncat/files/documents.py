"""Read JSON, TOML and text files of any origin: every fault is an error of ours, and sizes and depths have limits."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeAlias

from aligncat.errors import AligncatError, DataError
from aligncat.files.fields import shorten
from aligncat.locations import Location, RemotePath
from aligncat.wording import first_line, truncated

MAX_BYTES = 64 * 2**20
"""Limit for a file of settings, results or words."""
MAX_ANNOTATION_BYTES = 2**30
"""Limit for a file of annotations. The largest file of COCO's has 450 MB."""
MAX_TOML_BYTES = 2**20
"""Limit for a TOML file, which takes far longer to parse than JSON of the same size."""
MAX_DEPTH = 100
"""The most lists and mappings inside each other. No file that is read here needs more than ten."""
STANDARD_INPUT = Path("-")
"""Stands for the standard input where a verb reads text from a file; `./-` is a file of that name."""
_LARGEST = 1e308
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_Place: TypeAlias = "tuple[_Place, str | int] | None"
"""A key or a number in a list, after the place of the mapping or list that contains it."""


def read_bytes(path: Location, error: type[AligncatError] = DataError, *, limit: int = MAX_BYTES) -> bytes:
    """Return the content of a file.

    Args:
        path: the file.
        error: the class of the errors to raise.
        limit: the most bytes that the file may have.

    Raises:
        AligncatError: the file cannot be read or is too large.
    """
    try:
        if isinstance(path, RemotePath):
            content = path.read_bytes() if path.stat().st_size <= limit else bytes(limit + 1)
        else:
            with path.open("rb") as file:
                content = _at_most(file, limit + 1)
    except FileNotFoundError as fault:
        raise error(f"{path}: no such file") from fault
    except (OSError, ValueError) as fault:  # ValueError: the path contains a null character
        raise error(f"{path}: cannot be read ({getattr(fault, 'strerror', None) or fault})") from fault
    if len(content) > limit:
        raise error(_too_large(path, limit))
    return content


def _too_large(path: Location, limit: int) -> str:
    return f"{path}: has more than {limit:,} bytes, the limit for a file of this kind; check that it is one"


@contextmanager
def open_bytes(path: Path, error: type[AligncatError] = DataError, *, limit: int) -> Iterator[BinaryIO]:
    """Open a file that may be larger than is read at once.

    Args:
        path: the file.
        error: the class of the errors to raise.
        limit: the most bytes that the file may have.

    Raises:
        AligncatError: the file cannot be opened, is no regular file, or is too large.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as fault:
        raise error(f"{path}: no such file") from fault
    except (OSError, ValueError) as fault:
        raise error(f"{path}: cannot be read ({getattr(fault, 'strerror', None) or fault})") from fault
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{path}: not a file; copy its content into one")
        if status.st_size > limit:
            raise error(_too_large(path, limit))
        yield file


def _at_most(file: BinaryIO, limit: int) -> bytes:
    """Read up to a number of bytes without reserving memory for more than the file has."""
    parts: list[bytes] = []
    step = os.fstat(file.fileno()).st_size + 1  # a pipe has size 0 and more content
    while limit and (part := file.read(min(limit, max(step, 2**16)))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def read_standard_input(error: type[AligncatError] = DataError, *, limit: int = MAX_BYTES) -> str:
    """Return the text that is piped into the process, as `read_text` does for a file.

    Args:
        error: the class of the errors to raise.
        limit: the most bytes that it may have.

    Raises:
        AligncatError: there is no standard input, it has more bytes, or it is not UTF-8.
    """
    try:
        with open(0, "rb", closefd=False) as file:
            content = _at_most(file, limit + 1)
    except OSError as fault:
        raise error(f"the standard input cannot be read ({fault.strerror}); give a file instead of -") from fault
    if len(content) > limit:
        raise error(f"the standard input has more than {limit:,} bytes, the limit here; check what is piped into it")
    return _as_text(content, "the standard input", error)


def read_text(path: Location, error: type[AligncatError] = DataError, *, limit: int = MAX_BYTES) -> str:
    """Return the content of a UTF-8 text file without its byte order mark. Every line ends in a line feed.

    Args:
        path: the file.
        error: the class of the errors to raise.
        limit: the most bytes that the file may have.

    Raises:
        AligncatError: the file cannot be read, is too large, or is not UTF-8.
    """
    return _as_text(read_bytes(path, error, limit=limit), str(path), error)


def _as_text(content: bytes, where: str, error: type[AligncatError]) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise error(f"{where}: cannot be read as UTF-8 text ({fault}); save it as UTF-8") from fault
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(
    path: Location, error: type[AligncatError] = DataError, *, limit: int = MAX_BYTES, by_row: bool = False
) -> object:
    """Parse a JSON file; see `parse_json`.

    Args:
        path: a UTF-8 file, with or without a byte order mark.
        error: the class of the errors to raise.
        limit: the most bytes that the file may have.
        by_row: see `parse_json`.

    Raises:
        AligncatError: the file cannot be read, is too large, or is not such a document.
    """
    return parse_json(read_text(path, error, limit=limit), str(path), error, by_row=by_row)


def parse_json(text: str, where: str, error: type[AligncatError] = DataError, *, by_row: bool = False) -> object:
    """Parse one JSON document. Of a key that occurs twice in a mapping, the last value counts.

    Args:
        text: the document, with or without a byte order mark.
        where: its file, and its place there, for messages.
        error: the class of the errors to raise.
        by_row: whether the reader checks every value itself, since one bad row of an annotation file may be skipped.
            Numbers may then be infinite, NaN or huge, and texts may contain half a surrogate pair.

    Raises:
        AligncatError: the text is not JSON, or is nested more than MAX_DEPTH deep. Unless `by_row`: a number is not
            finite or too large for 64-bit floating point, or a text contains half a surrogate pair.
    """
    try:
        document: object = json.loads(text.removeprefix("\ufeff"))
    except ValueError as fault:  # a JSONDecodeError, or an integer with thousands of digits
        raise error(f"{where}: not JSON ({first_line(fault)})") from fault
    except RecursionError:
        _too_deep(where, error)
    _check_depth(document, where, error)
    if not by_row:
        _check_values(document, where, error, surrogates=_ESCAPED_SURROGATE.search(text) is not None)
    return document


def read_toml(path: Path, error: type[AligncatError] = DataError) -> dict[str, object]:
    """Parse a TOML file; see `parse_toml`.

    Args:
        path: a UTF-8 file of at most MAX_TOML_BYTES, with or without a byte order mark.
        error: the class of the errors to raise.

    Raises:
        AligncatError: the file cannot be read, is too large, or is not such a document.
    """
    return parse_toml(read_text(path, error, limit=MAX_TOML_BYTES), str(path), error)


def parse_toml(text: str, where: str, error: type[AligncatError] = DataError) -> dict[str, object]:
    """Parse a TOML document.

    Args:
        text: the document.
        where: its file, for messages.
        error: the class of the errors to raise.

    Raises:
        AligncatError: the text is not TOML, is nested more than MAX_DEPTH deep, or has a number that is not finite or
            is too large for 64-bit floating point.
    """
    # The parser's time and memory grow with the square of the number of parts of a dotted key, which is on one line.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MAX_DEPTH:
            raise error(f"{where}:{number}: more than {MAX_DEPTH} dots in a line; shorten it")
    try:
        document: dict[str, object] = tomllib.loads(text)
    except (ValueError, OverflowError) as fault:  # OverflowError: a time with an impossible offset
        raise error(f"{where}: not a TOML file ({first_line(fault)})") from fault
    except RecursionError:
        _too_deep(where, error)
    _check_depth(document, where, error)
    _check_values(document, where, error, surrogates=False)
    return document


def _too_deep(where: str, error: type[AligncatError]) -> NoReturn:
    raise error(f"{where}: nested too deeply (more than {MAX_DEPTH} lists or mappings inside each other)") from None


def _check_depth(document: object, where: str, error: type[AligncatError]) -> None:
    """Check the depth of a document. A list of scalars, of which annotations have millions, takes one set operation."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            if isinstance(container, list | dict)
            for items in [container.values() if isinstance(container, dict) else container]
            if not {list, dict}.isdisjoint(map(type, items))
            for item in items
        ]
        if not level:
            return
    _too_deep(where, error)


def _check_values(document: object, where: str, error: type[AligncatError], *, surrogates: bool) -> None:
    """Check every number, and with `surrogates` every text and key."""
    rest: list[tuple[object, _Place]] = [(document, None)]
    while rest:
        value, place = rest.pop()
        if isinstance(value, dict):
            keys = [(key, (place, " > a key")) for key in value] if surrogates else []
            rest += reversed([*keys, *((item, (place, f".{truncated(key, 40)}")) for key, item in value.items())])
        elif isinstance(value, list):
            if not {int, float}.issuperset(map(type, value)) or not all(map(_is_finite, value)):
                rest += reversed([(item, (place, number)) for number, item in enumerate(value)])
        elif isinstance(value, int | float) and not _is_finite(value):
            raise error(f"{where}: {_written(place)}{shorten(value)} is not a finite number, or too large; correct it")
        elif surrogates and isinstance(value, str) and _SURROGATE.search(value):
            raise error(
                f"{where}: {_written(place)}the text {shorten(value)} contains half a character; correct it and save "
                "the file as UTF-8"
            )


def _is_finite(number: float) -> bool:
    return -_LARGEST < number < _LARGEST


def _written(place: _Place) -> str:
    """Return a place in a document as text that ends in ": ", such as "train[0].refs: "; "" for the whole document."""
    parts = []
    while place is not None:
        place, part = place
        parts.append(part if isinstance(part, str) else f"[{part}]")
    return "".join(reversed(parts)).removeprefix(".") + ": " if parts else ""
