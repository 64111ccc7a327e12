"""Read shards, and check them against their hashes and the manifest."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aligncat.errors import StoreError
from aligncat.files.parquet_pages import chunk_sizes
from aligncat.locations import Location, RemotePath
from aligncat.store.columns import IMAGE_FIELDS, encode_table, shard_schema
from aligncat.store.complete import FileRecord
from aligncat.store.manifest import Manifest, shard_name
from aligncat.wording import first_line

REMEDY = "delete the file and run the same extraction again"
_MOST_BYTES = 2**32  # of a column, unpacked: a shard of 64 images has some megabytes
_NEEDED = ("skipped", "positions")  # read with any other columns
_VALUES = {"boxes": 4}  # the number of values per query in a column's lists; 1 if it is not here


class ShardRows(Protocol):
    """Some columns of a shard in memory, whatever the format of the store."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of candidates of each image."""

    def of_candidates(self, column: str, rows: NDArray[np.intp], kept: int) -> NDArray[Any]:
        """Return a value of each candidate as (rows, kept); of padding, any value."""

    def of_queries(self, column: str, rows: NDArray[np.intp], kept: int) -> NDArray[Any]:
        """Return a vector of each candidate's query as (rows, kept, length); zeros for padding."""

    def sizes(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """Return the widths and the heights of images, (rows, 2) pixels."""

    def masks(self, row: int, kept: int) -> list[bytes]:
        """Return the counts of an image's first masks, one per candidate."""


def identity(manifest_sha256: str, shard: int) -> dict[str, str]:
    """Return the Parquet metadata that ties a shard to its store and its place.

    Args:
        manifest_sha256: the hash of the store's manifest.
        shard: the shard's number.
    """
    return {"aligncat.manifest_sha256": manifest_sha256, "aligncat.shard": str(shard)}


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """The shards of a store.

    Attributes:
        folder: the store's folder.
        manifest: the store's manifest.
        manifest_sha256: the hash of the manifest's file.
        records: the record of each shard; None for an unfinished store, which has none yet.
    """

    folder: Location
    manifest: Manifest
    manifest_sha256: str
    records: Sequence[FileRecord] | None

    def check_sizes(self) -> None:
        """Check that every shard of a finished store is there and has its size.

        Raises:
            StoreError: one is not.
        """
        records = self.records or []
        if len(records) != self.manifest.shards:
            raise StoreError(
                f"{self.folder}: {len(records)} shards were finished, but the manifest has {self.manifest.shards}; "
                "delete the store and extract it again."
            )
        listed = self.folder.sizes() if isinstance(self.folder, RemotePath) else None  # one request for all
        for shard, record in enumerate(records):
            path = self.folder / shard_name(shard)
            try:
                size = path.stat().st_size if listed is None else listed[path.name]
            except (OSError, KeyError) as error:
                reason = getattr(error, "strerror", None) or "no such file"
                raise StoreError(f"{path}: cannot be read ({reason}); {REMEDY}.") from error
            if size != record.size:
                raise StoreError(f"{path}: damaged: it has {size} bytes, not {record.size}; {REMEDY}.")

    def read(self, shard: int, columns: Sequence[str] | None = None) -> StoredShard:
        """Read a shard and check it.

        Args:
            shard: the shard's number.
            columns: the columns to unpack, besides "skipped" and "positions"; None for all.

        Raises:
            StoreError: the file is missing, damaged, or not this shard of this store.
        """
        return self.parse(self.content(shard), shard, columns)

    def content(self, shard: int) -> bytes:
        """Return the bytes of a shard's file.

        Raises:
            StoreError: the file cannot be read, or does not have the recorded hash.
        """
        path = self.folder / shard_name(shard)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror}); {REMEDY}.") from error
        if self.records is not None and not self.records[shard].fits(content):
            raise StoreError(
                f"{path}: damaged: its content is not the one that {self.folder} was finished with; {REMEDY}."
            )
        return content

    def parse(self, content: bytes, shard: int, columns: Sequence[str] | None) -> StoredShard:
        """Unpack the bytes of a shard and check them.

        Raises:
            StoreError: they are not those of this shard of this store.
        """
        where = self.folder / shard_name(shard)
        try:
            file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
            fault = self._fault(file, content, shard)
            wanted = None if columns is None else [*dict.fromkeys([*columns, *_NEEDED])]
            table = None if fault else file.read(columns=wanted, use_threads=False).combine_chunks()
        except (pa.ArrowException, OSError, MemoryError, OverflowError, ValueError) as error:
            raise StoreError(f"{where}: cannot be read ({first_line(error)}); {REMEDY}.") from error
        if table is not None:
            rows = StoredShard(table, self.manifest)
            fault = rows.fault()
        if fault:
            raise StoreError(f"{where}: damaged ({fault}); {REMEDY}.")
        return rows

    def has_usual_bytes(self, content: bytes, rows: StoredShard, shard: int) -> bool:
        """Return whether a shard's file is what this version of pyarrow writes for its rows.

        The checksums of Parquet cover the pages, but not their headers and the footer.
        """
        return encode_table(rows.table, self.manifest, identity(self.manifest_sha256, shard)) == content

    def _fault(self, file: pq.ParquetFile, content: bytes, shard: int) -> str | None:
        """Return why a file is not this shard, before anything is unpacked; None if it is."""
        manifest, footer = self.manifest, file.metadata
        found = {key.decode(): value.decode() for key, value in (footer.metadata or {}).items()}
        if found != identity(self.manifest_sha256, shard):
            return f"it is not shard {shard} of this store"
        if not file.schema_arrow.equals(shard_schema(manifest)):
            return "its columns are not those of the manifest"
        if footer.num_rows != len(manifest.images_of(shard)):
            return f"it has {footer.num_rows} images, not {len(manifest.images_of(shard))}"
        most = max(footer.num_rows, 1) * manifest.candidates * 4
        with io.BytesIO(content) as raw:
            if any(each.bytes > _MOST_BYTES or each.values > most for each in chunk_sizes(raw, _MOST_BYTES)):
                return "it is larger than a shard can be"
        return None


class StoredShard:
    """Some columns of a shard: `ShardRows` with each distinct query once."""

    def __init__(self, table: pa.Table, manifest: Manifest) -> None:
        """Keep a table.

        Args:
            table: columns of the shard, in one chunk.
            manifest: the store's manifest.
        """
        self.table = table
        self._manifest = manifest
        self._starts = _offsets(table, "positions")

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of candidates of each image."""
        return np.diff(self._starts)

    @property
    def described(self) -> pa.Table:
        """The columns IMAGE_FIELDS."""
        return self.table.select([each.name for each in IMAGE_FIELDS])

    def of_candidates(self, column: str, rows: NDArray[np.intp], kept: int) -> NDArray[Any]:
        """Return a value of each candidate as (rows, kept); of padding, any value."""
        values = _values(self.table, column)
        if not len(values):
            return np.zeros((len(rows), kept), values.dtype)
        places = self._starts[rows][:, None] + np.arange(kept)
        return cast("NDArray[Any]", values[np.minimum(places, len(values) - 1)])

    def of_queries(self, column: str, rows: NDArray[np.intp], kept: int) -> NDArray[Any]:
        """Return a vector of each candidate's query as (rows, kept, length); zeros for padding."""
        length = _VALUES.get(column, 1)
        values = _values(self.table, column)
        vectors = values if values.ndim == 2 else values.reshape(-1, length)
        is_candidate = np.arange(kept) < self.counts[rows][:, None]
        if not len(vectors):
            return np.zeros((*is_candidate.shape, vectors.shape[1]), vectors.dtype)
        places = self.of_candidates("positions", rows, kept) + (_offsets(self.table, column)[rows] // length)[:, None]
        if is_candidate.all():
            return np.take(vectors, places, axis=0)
        found = np.take(vectors, np.where(is_candidate, places, 0), axis=0)
        found[~is_candidate] = 0
        return found

    def sizes(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """Return the widths and the heights of images, (rows, 2) pixels."""
        return np.stack([self.table[side].to_numpy()[rows] for side in ("width", "height")], axis=1)

    def masks(self, row: int, kept: int) -> list[bytes]:
        """Return the counts of an image's first masks, one per candidate."""
        distinct = self.table["masks"][row].as_py()
        return [distinct[place] for place in self.table["positions"][row].as_py()[:kept]]

    def fault(self) -> str | None:
        """Return what is wrong with the values, which a shard that was written by aligncat never has; else None."""
        names = set(self.table.schema.names)
        counts, manifest = self.counts, self._manifest
        skipped = ~self.table["skipped"].is_null().to_numpy(zero_copy_only=False).astype(bool)
        if counts.max(initial=0) > manifest.candidates:
            return f"an image has {counts.max()} candidates, but the manifest says at most {manifest.candidates}"
        if counts[skipped].any():
            return "an image that was skipped has candidates"
        for name in names & {"categories", "confidences"}:
            if not np.array_equal(_offsets(self.table, name), self._starts):
                return f"{name} and positions have different lengths"
        positions = _values(self.table, "positions")
        image = np.repeat(np.arange(len(counts)), counts)
        for name in sorted(names & {"queries", "boxes", "masks", *(n for n in names if n.startswith("features"))}):
            queries, rest = np.divmod(np.diff(_offsets(self.table, name)), _VALUES.get(name, 1))
            if rest.any() or (positions >= queries[image]).any():
                return f"a candidate has no entry in {name}"
        if "categories" in names:
            categories = _values(self.table, "categories")
            if len(categories) and not 0 <= categories.min() <= categories.max() < len(manifest.labels):
                return "a category is not one of the labels"
        return None


def _offsets(table: pa.Table, column: str) -> NDArray[np.int64]:
    """Return where the lists of a column begin and end in its values."""
    array = _array(table, column)
    offsets = array.offsets.to_numpy().astype(np.int64)
    return cast("NDArray[np.int64]", offsets - offsets[0] if len(offsets) else np.zeros(1, np.int64))


def _values(table: pa.Table, column: str) -> NDArray[Any]:
    """Return the values of all lists of a column: (values,), or (values, length) float16 for vectors."""
    values = _array(table, column).flatten()
    if not pa.types.is_fixed_size_binary(values.type):
        return cast("NDArray[Any]", values.to_numpy(zero_copy_only=True))
    width = values.type.byte_width
    content = np.frombuffer(values.buffers()[1], "<f2", count=(values.offset + len(values)) * width // 2)
    return content.reshape(-1, width // 2)[values.offset :]


def _array(table: pa.Table, column: str) -> pa.ListArray:
    chunks = table[column].chunks
    return chunks[0] if chunks else pa.array([], table.schema.field(column).type)
