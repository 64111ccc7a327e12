"""Read stores of the first format, which aligncat 0.1 wrote. They have no hashes, and every candidate in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from aligncat.errors import DataError, StoreError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, read_json
from aligncat.files.fields import as_mapping
from aligncat.files.parquet import read_batches, read_schema
from aligncat.store.columns import SkippedImage
from aligncat.store.complete import COMPLETE, skipped_images
from aligncat.store.manifest import Manifest, shard_name

_REMEDY = "restore the file, or delete the store and extract it again"


def first_skipped(folder: Path) -> list[SkippedImage]:
    """Return the skipped images of a finished store of the first format.

    Raises:
        StoreError: complete.json is damaged.
    """
    path = folder / COMPLETE
    try:
        return skipped_images(as_mapping(read_json(path, limit=MAX_ANNOTATION_BYTES), str(path)), str(path))
    except DataError as error:
        raise StoreError(f"{error}; the file is damaged: {_REMEDY}.") from error


@dataclass(frozen=True, slots=True)
class FirstShardFiles:
    """The shards of a store of the first format.

    Attributes:
        folder: the store's folder.
        manifest: the store's manifest.
    """

    folder: Path
    manifest: Manifest

    def check_last(self) -> None:
        """Check that the folder has no shard beyond the manifest's images.

        Raises:
            StoreError: it has one, so the manifest's number of images is wrong.
        """
        beyond = self.folder / shard_name(self.manifest.shards)
        if beyond.exists():
            raise StoreError(
                f"{beyond}: the manifest says that the store has {self.manifest.images:,} images, so this shard cannot "
                f"be; {_REMEDY}."
            )

    def read(self, shard: int, columns: Sequence[str] | None = None) -> FirstShard:
        """Read a shard.

        Args:
            shard: the shard's number.
            columns: the columns to unpack, with the numbers of candidates; None for all.

        Raises:
            StoreError: the file is missing, damaged, or does not fit the manifest.
        """
        path = self.folder / shard_name(shard)
        wanted = None if columns is None else [*columns, "count"]
        try:
            whole = read_schema(path, StoreError)
            schema = pa.schema([field for field in whole if wanted is None or field.name in wanted])
            table = pa.Table.from_batches(read_batches(path, schema.names, StoreError), schema).combine_chunks()
        except StoreError as error:
            raise StoreError(f"{error}; or {_REMEDY}.") from error
        if fault := _fault(table, self.manifest, shard, wanted):
            raise StoreError(f"{path}: damaged ({fault}); {_REMEDY}.")
        return FirstShard(table, self.manifest.candidates)


class FirstShard:
    """Some columns of a shard of the first format: `ShardRows` where each candidate has its own query."""

    def __init__(self, table: pa.Table, candidates: int) -> None:
        """Keep a table.

        Args:
            table: columns of the shard, in one chunk.
            candidates: O, to which the shard pads every image.
        """
        self._table = table
        self._candidates = candidates

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of candidates of each image."""
        return cast("NDArray[np.int64]", self._table["count"].to_numpy().astype(np.int64))

    def image_ids(self) -> list[str]:
        """Return the ids of the shard's images, without the skipped ones."""
        return cast("list[str]", self._table["image_id"].to_pylist())

    def of_candidates(self, column: str, rows: NDArray[np.intp], kept: int) -> NDArray[Any]:
        """Return a value of each candidate as (rows, kept); of padding, any value."""
        return self._padded(column)[rows, :kept, 0]

    def of_queries(self, column: str, rows: NDArray[np.intp], kept: int) -> NDArray[Any]:
        """Return a vector of each candidate's query as (rows, kept, length); zeros for padding."""
        return self._padded(column)[rows, :kept]

    def sizes(self, rows: NDArray[np.intp]) -> NDArray[np.int32]:
        """Return the widths and the heights of images, (rows, 2) pixels."""
        return np.stack([self._table[side].to_numpy()[rows] for side in ("width", "height")], axis=1)

    def masks(self, row: int, kept: int) -> list[bytes]:
        """Return the counts of an image's first masks, one per candidate."""
        return cast("list[bytes]", self._table["masks"][row].as_py()[:kept])

    def _padded(self, column: str) -> NDArray[Any]:
        """Return a column as (images, O, length), without a copy."""
        chunks = self._table[column].chunks
        if not chunks:
            return np.zeros((0, self._candidates, 1))
        values = chunks[0].flatten().to_numpy(zero_copy_only=True)
        return cast("NDArray[Any]", values.reshape(len(self._table), self._candidates, -1))


def _fault(table: pa.Table, manifest: Manifest, shard: int, wanted: Sequence[str] | None) -> str | None:
    """Return what does not fit the manifest; None if all fits."""
    expected = _types(manifest)
    for name in wanted or expected:
        if name not in table.schema.names or not table.schema.field(name).type.equals(expected[name]):
            return f"its {name} is not of the type that the manifest asks for"
        if table[name].null_count:
            return f"its {name} has gaps"
    if len(table) > len(manifest.images_of(shard)):
        return f"it has {len(table)} images, more than the manifest says"
    counts = table["count"].to_numpy()
    if len(counts) and not 0 <= counts.min() <= counts.max() <= manifest.candidates:
        return "an image has more candidates than the manifest says"
    if "categories" in table.schema.names:
        categories = table["categories"].combine_chunks().flatten()
        if len(categories) and not -1 <= pc.min(categories).as_py() <= pc.max(categories).as_py() < len(
            manifest.labels
        ):
            return "a category is not one of the labels"
    return None


def _types(manifest: Manifest) -> dict[str, pa.DataType]:
    """Return the type of each column."""
    kept = manifest.candidates
    return {
        "image_id": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "count": pa.int32(),
        "queries": pa.list_(pa.int32(), kept),
        "categories": pa.list_(pa.int32(), kept),
        "confidences": pa.list_(pa.float32(), kept),
        "boxes": pa.list_(pa.float32(), 4 * kept),
        "features": pa.list_(pa.float16(), kept * manifest.feature_dim),
        "masks": pa.list_(pa.binary()),
    }
