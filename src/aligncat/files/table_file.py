"""A table in a temporary file, for more rows than are kept in memory."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from aligncat.errors import TemporaryFileError

if TYPE_CHECKING:
    import pyarrow as pa


class TableRows(Protocol):
    """What a table in memory, a `pyarrow.Table`, and a `TableFile` have in common."""

    @property
    def num_rows(self) -> int:
        """The number of rows."""

    @property
    def schema(self) -> pa.Schema:
        """The columns."""

    def select(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows."""

    def slice(self, offset: int, length: int) -> pa.Table:
        """Return some rows that follow each other."""


class TableFile:
    """A table in a temporary file without a name, which is gone with the process, however that ends.

    Its blocks are read and not mapped: a mapped page counts as memory of the process until the system takes it back.

    Args:
        schema: the columns.
        tables: the blocks of rows, in order.
        folder: the folder of the file.

    Raises:
        TemporaryFileError: the file cannot be written, for example because the disk is full.
    """

    def __init__(self, schema: pa.Schema, tables: Iterable[pa.Table], folder: Path) -> None:
        from pyarrow import ipc

        self.schema = schema
        lengths: list[int] = []
        with _writing_errors(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # as long as this
            writer = ipc.new_file(self._file, schema)
        for table in tables:  # reading them may fail too, which is no error of writing
            with _writing_errors(folder):
                for batch in table.combine_chunks().to_batches():
                    writer.write_batch(batch)
                    lengths.append(batch.num_rows)
        with _writing_errors(folder):
            writer.close()
            self._file.flush()  # else the first read would write the last bytes
        self._starts = [0, *accumulate(lengths)]
        self._last: tuple[int, pa.Table] | None = None  # rows are mostly asked for in order

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return self._starts[-1]

    def blocks(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the blocks of rows in order.

        Args:
            columns: the columns to read; all by default.
        """
        for number in range(len(self._starts) - 1):
            yield self._block(number, columns)

    def select(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows."""
        import pyarrow as pa

        schema = pa.schema([self.schema.field(name) for name in columns])
        # A block is read as one piece, which stays in memory with any of its columns, so they are copied.
        copies = (block.take(pa.array(range(len(block)))) for block in self.blocks(columns))
        return pa.concat_tables([schema.empty_table(), *copies])

    def slice(self, offset: int, length: int) -> pa.Table:
        """Return some rows that follow each other."""
        import pyarrow as pa

        found = [self.schema.empty_table()]
        for number, (first, last) in enumerate(zip(self._starts, self._starts[1:], strict=False)):
            begin, end = max(first, offset), min(last, offset + length)
            if begin < end:
                if self._last is None or self._last[0] != number:
                    self._last = None  # before the next one is read
                    self._last = number, self._block(number, None)
                found.append(self._last[1].slice(begin - first, end - begin))
        return pa.concat_tables(found)

    def _block(self, number: int, columns: Sequence[str] | None) -> pa.Table:
        import pyarrow as pa
        from pyarrow import ipc

        names = self.schema.names
        wanted = None if columns is None else [names.index(name) for name in columns]
        reader = ipc.open_file(self._file, options=ipc.IpcReadOptions(included_fields=wanted))
        table = pa.Table.from_batches([reader.get_batch(number)])
        return table if columns is None else table.select(columns)


@contextmanager
def _writing_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError inside the block into one of a temporary file in a folder."""
    try:
        yield
    except OSError as error:
        raise TemporaryFileError(error.errno or errno.EIO, error.strerror or str(error), str(folder)) from error


def keep_rows(schema: pa.Schema, tables: Iterable[pa.Table], folder: Path, most: int) -> TableRows:
    """Return the rows of tables together, in memory if they are few, and otherwise in a temporary file.

    Args:
        schema: their columns.
        tables: blocks of rows.
        folder: the folder of the file.
        most: the most rows to keep in memory.

    Raises:
        TemporaryFileError: the file cannot be written.
    """
    import pyarrow as pa

    first: list[pa.Table] = []
    rest = iter(tables)
    for table in rest:
        first.append(table)
        if sum(each.num_rows for each in first) > most:
            return TableFile(schema, chain(_let_go(first), rest), folder)
    few: TableRows = pa.concat_tables([schema.empty_table(), *first]).combine_chunks()
    return few


def _let_go(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables that the list does not keep any more."""
    while tables:
        yield tables.pop(0)


def blocks_of(rows: TableRows, size: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of a table in order, some at a time.

    Args:
        rows: the table.
        size: the number of rows of a block of a table in memory.
        columns: the columns to read; all by default.
    """
    if isinstance(rows, TableFile):
        yield from rows.blocks(columns)
        return
    table = rows.select(rows.schema.names if columns is None else columns)
    for start in range(0, table.num_rows, size):
        yield table.slice(start, size)
