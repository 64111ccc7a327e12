"""What the pages of a Parquet file unpack to at most, read without Arrow.

The footer may say anything: Arrow obeys the headers of the pages. Its Python interface does not show them, and ends the
process, instead of raising an error, when it is asked for the metadata of a column that contradicts itself. The
structures are those of github.com/apache/parquet-format (parquet.thrift), in thrift's compact protocol
(github.com/apache/thrift, doc/specs/thrift-compact-protocol.md).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

_MAGIC = b"PAR1"
_MAX_FOOTER = 8 * 2**20
_USUAL_HEADER, _MAX_HEADER = 2**9, 2**16
_MAX_DEPTH = 20
_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_DATA, _DICTIONARY, _DATA_2 = 0, 2, 3
_BYTE_ARRAY = 6
# Types of thrift's values. Neither footers nor page headers have sets or maps.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _STRUCT = (*range(1, 10), 12)
_INTEGERS = frozenset((_I16, _I32, _I64))


class ChunkSize(NamedTuple):
    """The size of one column in one group of rows, from the headers of its pages.

    Attributes:
        path: the name of the column, and for nested columns the names inside it.
        values: the number of values, in lists too.
        bytes: the size of the pages without compression, bytes.
        longest: the length of the longest text of its dictionary, bytes; 0 without a dictionary of texts. A dictionary
            holds a text once, however often it occurs.
    """

    path: tuple[str, ...]
    values: int
    bytes: int
    longest: int


def chunk_sizes(file: BinaryIO, most: int) -> Iterator[ChunkSize]:
    """Yield the size of every column in every group of rows.

    Args:
        file: a Parquet file.
        most: the limit for the size of a dictionary without compression, bytes. A larger one counts as one text.

    Raises:
        ValueError: the file is not Parquet, or its footer or the header of a page is damaged or too large.
    """
    end = file.seek(0, io.SEEK_END)
    file.seek(max(end - 8, 0))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != _MAGIC or length > end - 8:
        raise ValueError("no Parquet footer at the end of the file")
    if length > _MAX_FOOTER:
        raise ValueError(f"a footer of {length:,} bytes")
    file.seek(end - 8 - length)
    try:
        groups = _Compact(file.read(length)).struct(_MAX_DEPTH)[4]  # FileMetaData.row_groups
        for group in groups:
            for column in group[1]:  # RowGroup.columns
                yield _chunk_size(file, column[3], most)  # ColumnChunk.meta_data
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"the footer or a page is damaged ({error!r})") from error


def _chunk_size(file: BinaryIO, chunk: dict[int, Any], most: int) -> ChunkSize:
    """Return the size of a column chunk, given its ColumnMetaData."""
    path = tuple(part.decode() for part in chunk[3])
    is_text, codec = chunk[1] == _BYTE_ARRAY, chunk[4]
    place = min(chunk[9], chunk.get(11) or chunk[9])  # data_page_offset, dictionary_page_offset
    end = place + chunk[7]  # total_compressed_size
    values = unpacked = longest = 0
    while place < end and values < chunk[5]:  # num_values
        reader, header = _page_header(file, place)
        kind, size, packed = header[1], header[2], header[3]
        if size < 0 or packed < 0:
            raise ValueError("a page of negative size")
        unpacked += size
        if kind == _DICTIONARY and is_text:
            file.seek(place + reader.place)
            longest = max(longest, _longest_text(file.read(packed) if size <= most else b"", codec, size))
        if kind in (_DATA, _DATA_2):
            count = header[5 if kind == _DATA else 8][1]
            if count < 0:
                raise ValueError("a page of a negative number of values")
            values += count
        place += reader.place + packed
    return ChunkSize(path, max(values, chunk[5]), unpacked, longest)


def _page_header(file: BinaryIO, place: int) -> tuple[_Compact, dict[int, Any]]:
    """Return a PageHeader, and the reader that stands behind it."""
    file.seek(place)
    reader = _Compact(file.read(_USUAL_HEADER))
    try:
        return reader, reader.struct(_MAX_DEPTH)
    except (ValueError, IndexError):  # it may be longer
        file.seek(place)
        reader = _Compact(file.read(_MAX_HEADER))
        return reader, reader.struct(_MAX_DEPTH)


def _longest_text(page: bytes, codec: int, size: int) -> int:
    """Return the length of the longest text of a dictionary; the size of the page where that cannot be told."""
    import pyarrow as pa

    try:
        content = page if codec == 0 else pa.decompress(page, size, _CODECS[codec], asbytes=True)
    except (LookupError, OSError, pa.ArrowException):  # Arrow reports the damage when it reads the page
        return size
    longest = place = 0
    while place + 4 <= len(content):
        length = int.from_bytes(content[place : place + 4], "little")
        longest = max(longest, min(length, size))
        place += 4 + length
    return longest


class _Compact:
    """A reader of thrift's compact protocol. A struct becomes a dict by the numbers of its fields.

    Every shard of a store is looked at when it is read, so the short forms of values are read in place, without a call.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def struct(self, depth: int) -> dict[int, Any]:
        content, place, number = self._content, self.place, 0
        fields: dict[int, Any] = {}
        while header := content[place]:  # an IndexError at the end, which is damage like others
            place += 1
            kind = header & 15
            if header > 15:
                number += header >> 4
            else:
                self.place = place
                number, place = self._signed(), self.place
            first = content[place]
            if kind in _INTEGERS and first < 128:
                fields[number] = first >> 1 ^ -(first & 1)
                place += 1
            elif kind in (_TRUE, _FALSE):
                fields[number] = kind == _TRUE
            else:
                self.place = place
                fields[number], place = self._value(kind, depth - 1), self.place
        self.place = place + 1
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth < 0:
            raise ValueError("the footer is nested too deeply")
        if kind == _STRUCT:
            return self.struct(depth)
        if kind == _BINARY:
            return self._bytes(self._unsigned())
        if kind == _LIST:
            header = self._byte()
            size = header >> 4 if header >> 4 < 15 else self._unsigned()
            kind = header & 15
            return [self._value(kind, depth - 1) for _ in range(self._fitting(size))]
        if kind in _INTEGERS:
            return self._signed()
        if kind in (_TRUE, _FALSE, _BYTE):
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError(f"the footer has a value of the unknown type {kind}")

    def _fitting(self, size: int) -> int:
        """Return the size of a list, whose elements take at least a byte each."""
        if size > len(self._content) - self.place:
            raise ValueError("the footer ends inside a list")
        return size

    def _byte(self) -> int:
        place = self.place
        self.place = place + 1
        return self._content[place]

    def _bytes(self, count: int) -> bytes:
        self.place += count
        if self.place > len(self._content):
            raise ValueError("the footer ends inside a value")
        return self._content[self.place - count : self.place]

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > 63:
                raise ValueError("the footer has a number of more than 64 bits")

    def _signed(self) -> int:
        number = self._unsigned()
        return number >> 1 ^ -(number & 1)
