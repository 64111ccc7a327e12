"""Read Parquet files of any origin in batches, with a limit on what they may unpack to."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

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
_FREE_BYTES = 256 * 2**20
_BATCH_ROWS = 8192
_VALUE_BYTES = 16  # the least that a value takes as a Python object


def read_schema(path: Path, error: type[AligncatError] = DataError, *, content: bytes | None = None) -> pa.Schema:
    """Return the columns of a Parquet file, with their types and the file's metadata.

    Args:
        path: the file.
        error: the class of the errors to raise.
        content: the file's bytes, if they were read before.

    Raises:
        AligncatError: the file cannot be read.
    """
    from pyarrow import parquet

    with _faults(path, error):
        return parquet.read_schema(_source(path, content))


def read_batches(
    path: Path,
    columns: Sequence[str] | None = None,
    error: type[AligncatError] = DataError,
    *,
    content: bytes | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, 8,192 at a time.

    The headers of all pages are looked at first, and texts are measured before they are unpacked. So a file that is
    larger than the limit is refused before it takes the memory.

    Args:
        path: the file.
        columns: the columns to read; all by default.
        error: the class of the errors to raise.
        content: the file's bytes, if they were read before.

    Raises:
        AligncatError: the file cannot be read, has a damaged page, or unpacks to more than the limit.
    """
    import pyarrow as pa
    from pyarrow import parquet

    plain = read_schema(path, error, content=content)
    with _faults(path, error):
        size = path.stat().st_size if content is None else len(content)
        with path.open("rb") if content is None else io.BytesIO(content) as raw:
            _check_pages(raw, size, path, error, columns)
        with parquet.ParquetFile(_source(path, content)) as file:
            leaves = [file.schema.column(number) for number in range(len(file.schema))]
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and "." not in leaf.path]
        # A dictionary keeps a text that occurs a thousand times once, until the size of all is known. Arrow cannot read
        # nested columns so; for them, the length of the longest text counts for each value.
        with parquet.ParquetFile(
            _source(path, content), read_dictionary=texts, page_checksum_verification=True
        ) as file:
            unpacked = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=None if columns is None else list(columns)):
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


def seal(content: io.BytesIO) -> None:
    """Write the SHA-256 of all other bytes of a Parquet file into it, under SEAL.

    Args:
        content: a file whose metadata has BLANK_SEAL under SEAL.
    """
    with content.getbuffer() as whole:
        footer = bytes(whole[-8 - int.from_bytes(whole[-8:-4], "little") :])
        place = len(whole) - len(footer) + footer.rindex(_SEAL_IN_FOOTER + BLANK_SEAL) + len(_SEAL_IN_FOOTER)
        whole[place : place + len(BLANK_SEAL)] = hashlib.sha256(whole).hexdigest().encode()


def check_seal(content: bytes, path: Path, error: type[AligncatError] = DataError) -> None:
    """Check a file's bytes against the hash that `seal` wrote. Files without one pass.

    Args:
        content: the file's bytes.
        path: the file, for the message.
        error: the class of the error to raise.

    Raises:
        AligncatError: a byte differs.
    """
    place = content.rfind(_SEAL_IN_FOOTER) + len(_SEAL_IN_FOOTER)
    if place < len(_SEAL_IN_FOOTER):
        return
    end = place + len(BLANK_SEAL)
    if hashlib.sha256(content[:place] + BLANK_SEAL + content[end:]).hexdigest().encode() != content[place:end]:
        raise error(f"{path}: damaged, the hash of its content is not the one that it records; write or copy it again")


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


def _source(path: Path, content: bytes | None) -> Any:
    return path if content is None else io.BytesIO(content)


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
