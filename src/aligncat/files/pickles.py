"""Read a pickle that holds plain data, and refuse any other."""

from __future__ import annotations

import codecs
import io
import pickle
import pickletools
from pathlib import Path

from aligncat.errors import DataError, UnsafePickleError

# RefCOCO's refs take tens of megabytes; ten times that is no refs file any more.
MAX_PICKLE_BYTES = 512 * 2**20

# Sets are the only plain data that old protocols build by naming a class; the rest have opcodes of their own.
_PLAIN_GLOBALS: dict[tuple[str, str], type] = {
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
}

_LATIN1_FALLBACK = "aligncat.latin1"


def _decode_as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


# Python 2 pickled `str` as bytes of no stated encoding. Nearly all are ASCII or UTF-8; a byte that is not
# valid UTF-8 becomes the Latin-1 character, so that one odd sentence does not cost the file.
codecs.register_error(_LATIN1_FALLBACK, _decode_as_latin1)


# How many bytes follow an opcode, by its code: a number, or one of pickletools' markers; None for no opcode.
_ARGUMENT_SIZES: list[int | None] = [None] * 256
for _opcode in pickletools.opcodes:
    _ARGUMENT_SIZES[ord(_opcode.code)] = 0 if _opcode.arg is None else _opcode.arg.n

_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_STOP, _PUT, _LONG_PUT = pickle.STOP[0], pickle.PUT[0], pickle.LONG_BINPUT[0]
_PUTS = {_PUT, _LONG_PUT}
_TWO_LINES = {pickle.GLOBAL[0], pickle.INST[0]}


def check_pickle_sizes(data: bytes, path: Path) -> None:
    """Refuse a value that is longer than the file, and a memo index beyond any that a pickler writes.

    CPython's unpickler makes room for 16 bytes times the index that the file names, so that ten bytes can ask
    for 64 GB and have the process killed. Picklers count their memo up from 0, so an index is less than the
    length. What is no pickle at all is left to the unpickler to complain about.
    """
    position, end = 0, len(data)
    while position < end:
        code = data[position]
        start = position = position + 1
        size = _ARGUMENT_SIZES[code]
        if size is None or code == _STOP:
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
        if code in _PUTS:
            argument = data[start:position]
            index = int.from_bytes(argument, "little") if code == _LONG_PUT else _decimal(argument)
            if index > end:
                raise DataError(f"{path}: damaged or hostile pickle (memo index {index:,}); fetch the file again")


def _decimal(line: bytes) -> int:
    try:
        return int(line)
    except ValueError:
        return 0


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that can build nothing but plain data, because no global resolves to anything else."""

    def __init__(self, data: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", errors=_LATIN1_FALLBACK)
        self._path = path

    def find_class(self, module: str, name: str) -> type:
        try:
            return _PLAIN_GLOBALS[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"{self._path}: the pickle asks for {module}.{name}, which is not plain data, so it was "
                "not loaded; get the file from a source you trust, or write it again with plain lists, "
                "dicts, strings and numbers"
            ) from None

    def persistent_load(self, pid: object) -> object:
        raise UnsafePickleError(
            f"{self._path}: the pickle refers to an object outside itself ({pid!r}), so it was not loaded"
        )


def load_plain_pickle(path: Path) -> object:
    """Read a pickle of plain data: dict, list, tuple, set, str, bytes, int, float, bool and None.

    Pickles of Python 2 are read as well; their byte strings become str. Nothing in the file can run code,
    because no name in it resolves to anything but set and frozenset, nor ask for more memory than some
    times its own size.

    Args:
        path: a file of at most 512 MiB, of any pickle protocol.

    Returns:
        The data.

    Raises:
        UnsafePickleError: when the pickle names any class or function; nothing of it is called.
        DataError: when the file is missing, too large, truncated, or no pickle.
    """
    try:
        size = path.stat().st_size
        if size > MAX_PICKLE_BYTES:
            raise DataError(f"{path}: {size:,} bytes is more than the limit of {MAX_PICKLE_BYTES:,} for a pickle")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    check_pickle_sizes(data, path)
    try:
        return _PlainUnpickler(data, path).load()
    except UnsafePickleError:
        raise
    except (pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError) as error:
        # A damaged stream fails at whichever opcode comes next, with any of these.
        raise DataError(f"{path}: damaged, truncated, or not a pickle ({error}); fetch the file again") from error
    except (MemoryError, OverflowError) as error:
        raise DataError(f"{path}: the pickle asks for more memory than there is; fetch the file again") from error
