"""The index of a store: which images it has, and where they are."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aligncat.errors import StoreError
from aligncat.files.parquet import check_pages
from aligncat.files.parquet_pages import chunk_sizes
from aligncat.files.text_index import TextIndex
from aligncat.locations import Location
from aligncat.store.columns import IMAGE_FIELDS, write_parquet
from aligncat.store.complete import FileRecord
from aligncat.store.first_format import FirstShardFiles
from aligncat.store.ids import ids_sha256
from aligncat.store.manifest import Manifest
from aligncat.wording import first_line

INDEX = "index.parquet"
SOURCES = "sources.parquet"
_REMEDY = "delete it together with complete.json and run the same extraction again"
_INDEX_SCHEMA = pa.schema(
    [pa.field("image_id", pa.string(), nullable=False), pa.field("is_skipped", pa.bool_(), nullable=False)]
)


class Index:
    """The ids of a store's images with their places."""

    def __init__(self, ids: pa.StringArray, shards: NDArray[np.intp], rows: NDArray[np.intp]) -> None:
        """Keep the ids and places.

        Args:
            ids: the n ids of the images with candidates, in the order of extraction.
            shards: (n,) the number of each image's shard.
            rows: (n,) the image's row there.
        """
        self._ids = ids
        self._shards = shards
        self._rows = rows

    @classmethod
    def read(cls, folder: Location, manifest: Manifest, record: FileRecord) -> Index:
        """Read the index of a finished store.

        Raises:
            StoreError: it is missing or damaged, or does not fit the manifest.
        """
        table = _read(folder / INDEX, manifest, record, _INDEX_SCHEMA)
        ids = _ids(table)
        there = np.flatnonzero(~table["is_skipped"].to_numpy())
        shards, rows = np.divmod(there, manifest.shard_size)
        return cls(ids if len(there) == len(ids) else ids.take(pa.array(there)), shards, rows)

    @classmethod
    def of_first_format(cls, files: FirstShardFiles) -> Index:
        """Make the index of a store of the first format, which has none, from all its shards.

        Raises:
            StoreError: a shard is missing or damaged.
        """
        found = [files.read(shard, ["image_id"]).image_ids() for shard in range(files.manifest.shards)]
        counts = [len(ids) for ids in found]
        return cls(
            pa.array([image_id for ids in found for image_id in ids], pa.string()),
            np.repeat(np.arange(len(found), dtype=np.intp), counts),
            np.concatenate([np.zeros(0, np.intp), *(np.arange(count, dtype=np.intp) for count in counts)]),
        )

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, image_id: object) -> bool:
        return isinstance(image_id, str) and self._places.find(image_id) >= 0

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The ids of the images with candidates, in the order of extraction."""
        return tuple(self._ids.to_pylist())

    def place(self, image_id: str) -> tuple[int, int]:
        """Return the shard and the row of an image, or raise a KeyError."""
        number = self._places.find(image_id)
        if number < 0:
            raise KeyError(image_id)
        return int(self._shards[number]), int(self._rows[number])

    def places(self, image_ids: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the shards and the rows of some images, or raise a KeyError."""
        numbers = self._places.find_all(image_ids)
        if len(missing := np.flatnonzero(numbers < 0)):
            raise KeyError(image_ids[missing[0]])
        return self._shards[numbers], self._rows[numbers]

    @cached_property
    def _places(self) -> TextIndex:
        return TextIndex(self._ids)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._ids, self._shards, self._rows)


def index_file(described: pa.Table) -> bytes:
    """Return the content of index.parquet.

    Args:
        described: the columns IMAGE_FIELDS of all images, in order.
    """
    skipped = pa.chunked_array([chunk.is_valid() for chunk in described["skipped"].chunks], pa.bool_())
    return _file(pa.table([described["image_id"], skipped], schema=_INDEX_SCHEMA))


def sources_file(described: pa.Table) -> bytes:
    """Return the content of sources.parquet.

    Args:
        described: the columns IMAGE_FIELDS of all images, in order.
    """
    return _file(described)


def read_sources(folder: Location, manifest: Manifest, record: FileRecord) -> pa.Table:
    """Return the columns IMAGE_FIELDS of all images of a finished store.

    Raises:
        StoreError: the file is missing or damaged, or does not fit the manifest.
    """
    return _read(folder / SOURCES, manifest, record, pa.schema(IMAGE_FIELDS))


def _file(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    write_parquet(table, buffer, {})
    return buffer.getvalue()


def _read(path: Location, manifest: Manifest, record: FileRecord, schema: pa.Schema) -> pa.Table:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); {_REMEDY}.") from error
    if not record.fits(content):
        raise StoreError(f"{path}: damaged: its content is not the one that the store was finished with; {_REMEDY}.")
    try:
        file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
        if not file.schema_arrow.equals(schema):
            raise StoreError(f"{path}: damaged: its columns are not {', '.join(schema.names)}; {_REMEDY}.")
        # Whoever makes a store also makes its hashes, so they do not limit the size.
        check_pages(content, path, StoreError)
        if _has_dictionary(content):
            raise StoreError(f"{path}: damaged: it has a dictionary, which no index of aligncat's has; {_REMEDY}.")
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, MemoryError, OverflowError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({first_line(error)}); {_REMEDY}.") from error
    if len(table) != manifest.images or ids_sha256(_ids(table)) != manifest.image_ids_sha256:
        raise StoreError(f"{path}: its images are not those of the manifest; {_REMEDY}.")
    return table


def _ids(table: pa.Table) -> pa.StringArray:
    return pa.concat_arrays(table["image_id"].chunks or [pa.array([], pa.string())])


def _has_dictionary(content: bytes) -> bool:
    """Return whether a text may be stored once and occur many times, so that the pages do not tell its length."""
    with io.BytesIO(content) as raw:
        return any(chunk.longest for chunk in chunk_sizes(raw, len(content)))
