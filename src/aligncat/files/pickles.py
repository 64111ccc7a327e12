"""Read pickles of plain data and refuse all others."""

from __future__ import annotations

import codecs
import io
import pickle
import pickletools
import re
import struct
from collections.abc import Iterator
from pathlib import Path

from aligncat.errors import DataError, UnsafePickleError
from aligncat.files.documents import read_bytes

# RefCOCO's refs take tens of megabytes. A file ten times as large is not a refs file.
MAX_PICKLE_BYTES = 512 * 2**20

# Sets are the only plain data that old protocols build by naming a class. All other plain data has its own opcodes.
_PLAIN_GLOBALS: dict[tuple[str, str], type] = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
}

# Size of an opcode's argument in bytes, by the opcode's code: a number, or one of pickletools' negative markers; None
# where the code is not an opcode.
_ARGUMENT_SIZES: list[int | None] = [None] * 256
for _opcode in pickletools.opcodes:
    _ARGUMENT_SIZES[ord(_opcode.code)] = 0 if _opcode.arg is None else _opcode.arg.n

# Width in bytes of the length that precedes an argument, by pickletools' marker.
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_STOP, _PUT, _LONG_PUT = pickle.STOP[0], pickle.PUT[0], pickle.LONG_BINPUT[0]
_PUTS = {_PUT, _LONG_PUT}
_TWO_LINES = {pickle.GLOBAL[0], pickle.INST[0]}
_QUOTED_STRING = pickle.STRING[0]
_LENGTH_OF_STRING = {pickle.SHORT_BINSTRING[0]: 1, pickle.BINSTRING[0]: 4}
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


def check_pickle_sizes(data: bytes, path: Path) -> None:
    """Check that no value is longer than the file, and that no memo index exceeds the file's length.

    CPython's unpickler allocates 16 bytes times the memo index that the file names: ten bytes can ask for 64 GB and
    get the process killed. Picklers count their memo up from 0, so a valid index is less than the file's length. Data
    that is not a pickle passes; the unpickler rejects it.

    Args:
        data: the pickle.
        path: the file it is from, for messages.

    Raises:
        DataError: a value or a memo index is too large.
    """
    for code, start, end in _opcodes(data, path):
        if code in _PUTS:
            argument = data[start:end]
            index = int.from_bytes(argument, "little") if code == _LONG_PUT else _decimal(argument)
            if index > len(data):
                raise DataError(f"{path}: damaged or hostile pickle (memo index {index:,}); fetch the file again")


def _opcodes(data: bytes, path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield each opcode's code and the start and end of its argument, up to STOP or the first unknown code."""
    position, end = 0, len(data)
    while position < end:
        code = data[position]
        start = position = position + 1
        size = _ARGUMENT_SIZES[code]
        if size is None:
            return
        if size >= 0:
            position += size
        elif size == pickletools.UP_TO_NEWLINE:
            position = data.find(b"\n", position) + 1 or end + 1
            if code in _TWO_LINES:
                position = data.find(b"\n", position) + 1 or end + 1
        else:
            width = _LENGTH_BYTES[size]
            position += width + int.from_bytes(data[position : position + width], "little")
        if position > end:
            raise DataError(f"{path}: truncated or damaged pickle, it ends inside a value; fetch the file again")
        yield code, start, position
        if code == _STOP:
            return


def _decimal(line: bytes) -> int:
    try:
        return int(line)
    except ValueError:
        return 0


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that builds only plain data: sets are the only classes that it finds."""

    def __init__(self, data: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8")
        self._path = path

    def find_class(self, module: str, name: str) -> type:
        try:
            return _PLAIN_GLOBALS[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"{self._path}: the pickle asks for {module}.{name}, which is not plain data, so it was not loaded; "
                "get the file from a source you trust, or write it again with plain lists, dicts, strings and numbers"
            ) from None

    def persistent_load(self, pid: object) -> object:
        raise UnsafePickleError(
            f"{self._path}: the pickle refers to an object outside itself ({pid!r}), so it was not loaded; get the "
            "file from a source you trust"
        )


def load_plain_pickle(path: Path) -> object:
    """Read a pickle of plain data: dict, list, tuple, set, str, bytes, int, float, bool and None.

    Pickles of Python 2 are read as well; their byte strings become str. Nothing in the file can run code, because no
    name in it resolves to anything but set and frozenset. The memory that loading takes is bounded by a multiple of
    the file's size.

    Args:
        path: a file of at most 512 MiB, of any pickle protocol.

    Returns:
        The data.

    Raises:
        UnsafePickleError: the pickle names any other class or a function. Nothing is called.
        DataError: the file is missing, too large, truncated, or not a pickle.
    """
    data = read_bytes(path, limit=MAX_PICKLE_BYTES)
    check_pickle_sizes(data, path)
    try:
        return _load(data, path)
    except UnsafePickleError:
        raise
    except (pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError) as error:
        # A damaged stream fails at whichever opcode comes next, with any of these errors.
        raise DataError(f"{path}: damaged, truncated, or not a pickle ({error}); fetch the file again") from error
    except (MemoryError, OverflowError) as error:
        raise DataError(f"{path}: the pickle needs more memory than is available; fetch the file again") from error


def _load(data: bytes, path: Path) -> object:
    try:
        return _PlainUnpickler(data, path).load()
    except UnicodeDecodeError:
        return _PlainUnpickler(_with_unicode_strings(data, path), path).load()


def _with_unicode_strings(data: bytes, path: Path) -> bytes:
    """Return the same pickle with Unicode strings in place of Python 2's byte strings, whose encoding is not stated.

    Nearly all of them are ASCII or UTF-8. Bytes that are not UTF-8 become Latin-1 characters, so that one odd sentence
    does not make the whole file unreadable.
    """
    parts = []
    copied = 0
    for code, start, end in _opcodes(data, path):
        if code == _QUOTED_STRING:
            quoted = data[start : end - 1]
            if len(quoted) < 2 or quoted[0] != quoted[-1] or quoted[:1] not in (b"'", b'"'):
                continue  # the unpickler reports it
            content, _ = codecs.escape_decode(quoted[1:-1])
        elif code in _LENGTH_OF_STRING:
            content = data[start + _LENGTH_OF_STRING[code] : end]
        else:
            continue
        encoded = _decode(content).encode()
        parts += [data[copied : start - 1], pickle.BINUNICODE, struct.pack("<I", len(encoded)), encoded]
        copied = end
    return b"".join([*parts, data[copied:]])


def _decode(content: bytes) -> str:
    """Decode UTF-8. Bytes that are not UTF-8 become Latin-1 characters."""
    text = content.decode("utf-8", "surrogateescape")
    return _ESCAPED_BYTE.sub(lambda escaped: chr(ord(escaped[0]) - 0xDC00), text)
