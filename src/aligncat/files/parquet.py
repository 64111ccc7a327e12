"""Read Parquet files of any origin in batches, with a limit on what they may unpack to."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from aligncat.errors import AligncatError, DataError
from aligncat.files.parquet_pages import chunk_sizes
from aligncat.locations import Location
from aligncat.wording import first_line

if TYPE_CHECKING:
    import pyarrow as pa

MOST_UNPACKED = 100
"""A file may unpack to this many times its size, and 256 MiB more. Annotations and answers unpack to less than 20
times; a file that was made to fill the memory reaches 10,000 times."""
SEAL = b"aligncat_sha256"
"""Key of the hash of a file's bytes in the file's metadata."""
BLANK_SEAL = b"0" * 64
"""What stands in place of the hash while it is computed."""
_SEAL_IN_FOOTER = SEAL + b"\x18\x40"  # thrift's header of a text of 64 bytes follows the key
_MOST_FOOTER = 8 * 2**20 + 8
_READ_BYTES = 2**20
_FREE_BYTES = 256 * 2**20
_BATCH_ROWS = 8192
_VALUE_BYTES = 16  # the least that a value takes as a Python object


def read_schema(path: Path, error: type[AligncatError] = DataError, *, file: BinaryIO | None = None) -> pa.Schema:
    """Return the columns of a Parquet file, with their types and the file's metadata.

    Args:
        path: the file.
        error: the class of the errors to raise.
        file: the open file, if it is open.

    Raises:
        AligncatError: the file cannot be read.
    """
    from pyarrow import parquet

    with _faults(path, error):
        return parquet.read_schema(path if file is None else file)


def read_batches(
    path: Path,
    columns: Sequence[str] | None = None,
    error: type[AligncatError] = DataError,
    *,
    file: BinaryIO | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, 8,192 at a time.

    The headers of all pages are looked at first, and texts are measured before they are unpacked. So a file that is
    larger than the limit is refused before it takes the memory.

    Args:
        path: the file.
        columns: the columns to read; all by default.
        error: the class of the errors to raise.
        file: the open file, if it is open.

    Raises:
        AligncatError: the file cannot be read, has a damaged page, or unpacks to more than the limit.
    """
    import pyarrow as pa
    from pyarrow import parquet

    plain = read_schema(path, error, file=file)
    with _faults(path, error):
        with path.open("rb") if file is None else nullcontext(file) as raw:
            size = raw.seek(0, io.SEEK_END)
            _check_pages(raw, size, path, error, columns)
        source = path if file is None else file
        with parquet.ParquetFile(source) as described:
            leaves = [described.schema.column(number) for number in range(len(described.schema))]
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and "." not in leaf.path]
        # A dictionary keeps a text that occurs a thousand times once, until the size of all is known. Arrow cannot read
        # nested columns so; for them, the length of the longest text counts for each value.
        with parquet.ParquetFile(source, read_dictionary=texts, page_checksum_verification=True) as opened:
            unpacked = 0
            for batch in opened.iter_batches(_BATCH_ROWS, columns=None if columns is None else list(columns)):
                unpacked += sum(map(_unpacked_bytes, batch.columns))
                if unpacked > _most_bytes(size):
                    raise error(_bomb(path, size))
                fields = [plain.field(name) for name in batch.schema.names]
                arrays = [column.cast(field.type) for column, field in zip(batch.columns, fields, strict=True)]
                whole = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))
                whole.validate(full=True)
                yield whole


def check_pages(content: bytes, path: Location, error: type[AligncatError] = DataError) -> None:
    """Check that a Parquet file unpacks to no more than the limit, as far as the headers of its pages tell.

    They do not tell how often the texts of a dictionary occur.

    Args:
        content: the file's bytes.
        path: the file, for the message.
        error: the class of the error to raise.

    Raises:
        AligncatError: it unpacks to more, or cannot be read.
    """
    with _faults(path, error), io.BytesIO(content) as file:
        _check_pages(file, len(content), path, error, None)


def seal(file: BinaryIO) -> None:
    """Write the SHA-256 of all other bytes of a Parquet file into it, under SEAL.

    Args:
        file: a file, open for reading and writing, whose metadata has BLANK_SEAL under SEAL.
    """
    end = file.seek(-8, io.SEEK_END)
    start = file.seek(end - int.from_bytes(file.read(4), "little"))
    place = start + file.read(end - start).rindex(_SEAL_IN_FOOTER + BLANK_SEAL) + len(_SEAL_IN_FOOTER)
    digest = _blank_digest(file, place)
    file.seek(place)
    file.write(digest)


def check_seal(file: BinaryIO, path: Path, error: type[AligncatError] = DataError) -> None:
    """Check a file's bytes against the hash that `seal` wrote. Files without one pass.

    Args:
        file: the open file.
        path: its path, for the message.
        error: the class of the error to raise.

    Raises:
        AligncatError: a byte differs, or the file cannot be read.
    """
    with _faults(path, error):
        start = file.seek(max(file.seek(0, io.SEEK_END) - _MOST_FOOTER, 0))
        place = file.read().rfind(_SEAL_IN_FOOTER)
        if place < 0:
            return
        place += start + len(_SEAL_IN_FOOTER)
        if _blank_digest(file, place) != file.read(len(BLANK_SEAL)):
            raise error(
                f"{path}: damaged, the hash of its content is not the one that it records; write or copy it again"
            )


def _blank_digest(file: BinaryIO, place: int) -> bytes:
    """Return the SHA-256 of a file with BLANK_SEAL at a place, and leave the file at that place."""
    digest = hashlib.sha256()
    file.seek(0)
    while part := file.read(min(_READ_BYTES, place - file.tell())):
        digest.update(part)
    digest.update(BLANK_SEAL)
    file.seek(place + len(BLANK_SEAL))
    while part := file.read(_READ_BYTES):
        digest.update(part)
    file.seek(place)
    return digest.hexdigest().encode()


def _check_pages(
    file: BinaryIO, size: int, path: Location, error: type[AligncatError], columns: Sequence[str] | None
) -> None:
    if _claimed_bytes(file, columns, _most_bytes(size)) > _most_bytes(size):
        raise error(_bomb(path, size))


def _claimed_bytes(file: BinaryIO, columns: Sequence[str] | None, most: int) -> int:
    """Return the bytes that the pages of the columns unpack to at most, without texts of top-level dictionaries."""
    total = 0
    for chunk in chunk_sizes(file, most):
        if columns is None or chunk.path[0] in columns:
            nested = chunk.longest if "." in ".".join(chunk.path) else 0
            total += chunk.bytes + chunk.values * max(_VALUE_BYTES, nested)
    return total


def _unpacked_bytes(array: pa.Array) -> int:
    """Return the bytes that an array takes without a dictionary."""
    import pyarrow as pa
    from pyarrow import compute

    if not pa.types.is_dictionary(array.type):
        return int(array.nbytes)
    lengths = compute.binary_length(array.dictionary).cast(pa.int64())
    return 4 * len(array) + (compute.sum(lengths.take(array.indices)).as_py() or 0)


def _most_bytes(size: int) -> int:
    """Return the limit of what a file of this size may unpack to, bytes."""
    return _FREE_BYTES + MOST_UNPACKED * size


def _bomb(path: Location, size: int) -> str:
    return (
        f"{path}: {size:,} bytes unpack to more than {_most_bytes(size):,}, the limit for a file of this size; it was "
        "not read"
    )


@contextmanager
def _faults(path: Location, error: type[AligncatError]) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except AligncatError:
        raise
    except (ArrowException, OSError, ValueError, KeyError, IndexError, TypeError, MemoryError, OverflowError) as fault:
        raise error(f"{path}: cannot be read as Parquet ({first_line(fault)}); make or download it again") from fault
