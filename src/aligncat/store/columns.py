"""The columns of a shard, as Parquet stores them: one row per image, each distinct query once.

docs/store.md describes the format.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from aligncat.errors import StoreError
from aligncat.store.manifest import Manifest
from aligncat.store.sources import STAMP_FIELDS, Stamp, stamp_columns
from aligncat.types import Candidates, FeatureColumn

IMAGE_FIELDS = (
    pa.field("image_id", pa.string(), nullable=False),
    pa.field("skipped", pa.string()),
    *STAMP_FIELDS,
)
"""What a shard keeps of every image, whether or not it could be read."""

_LEVEL = 6
_BYTE_STREAM_SPLIT = "BYTE_STREAM_SPLIT"
_NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that could not be read and was left out of the store.

    Attributes:
        id: the image's id.
        reason: the error that reading its file gave.
    """

    id: str
    reason: str


def further_column(name: str) -> str:
    """Return the name of the Parquet column that holds a `FeatureColumn`."""
    return f"features_{name}"


def shard_schema(manifest: Manifest) -> pa.Schema:
    """Return the schema of a shard."""
    further = [(further_column(each.name), pa.binary(2 * each.dim)) for each in manifest.columns]
    return pa.schema(
        [
            *IMAGE_FIELDS,
            pa.field("width", pa.int32(), nullable=False),
            pa.field("height", pa.int32(), nullable=False),
            _list_field("positions", pa.uint16()),
            _list_field("categories", pa.int32()),
            _list_field("confidences", pa.float32()),
            _list_field("queries", pa.int32()),
            _list_field("boxes", pa.float32()),
            _list_field("features", pa.binary(2 * manifest.feature_dim)),
            *(_list_field(name, kind) for name, kind in further),
            *([_list_field("masks", pa.binary())] if manifest.has_masks else []),
        ]
    )


def encode_shard(
    images: Sequence[Candidates | SkippedImage],
    stamps: Mapping[str, Stamp],
    manifest: Manifest,
    metadata: Mapping[str, str],
) -> tuple[bytes, pa.Table]:
    """Return the bytes of a shard's file, and the columns IMAGE_FIELDS as a table.

    Equal content gives equal bytes.

    Args:
        images: the shard's images in order: their candidates, or why they were skipped.
        stamps: what is known of the source files, by image id.
        manifest: the store's manifest.
        metadata: what the Parquet footer says beside the schema.

    Raises:
        StoreError: the candidates of an image are not what the manifest says.
    """
    schema = shard_schema(manifest)
    ids = [each.image_id if isinstance(each, Candidates) else each.id for each in images]
    reasons = [None if isinstance(each, Candidates) else each.reason for each in images]
    described = pa.table(
        {"image_id": ids, "skipped": reasons, **stamp_columns([stamps.get(image_id) for image_id in ids])},
        schema=pa.schema(IMAGE_FIELDS),
    )
    for each in images:
        if isinstance(each, Candidates) and (each.masks is not None) != manifest.has_masks:
            raise StoreError(
                f"image {each.image_id!r}: the detector gives {'no masks' if each.masks is None else 'masks'}, but its "
                f"description says {manifest.detector.masks!r}"
            )
    found = [_distinct(each, manifest.columns) for each in images]
    arrays = [
        *described.columns,
        pa.array([each.width for each in found], pa.int32()),
        pa.array([each.height for each in found], pa.int32()),
        _lists([each.positions for each in found], schema.field("positions").type),
        _lists([each.categories for each in found], schema.field("categories").type),
        _lists([each.confidences for each in found], schema.field("confidences").type),
        _lists([each.queries for each in found], schema.field("queries").type),
        _lists([each.boxes.reshape(-1) for each in found], schema.field("boxes").type),
        _vectors([each.features for each in found], schema.field("features").type, "features"),
        *(
            _vectors([each.columns[column.name] for each in found], schema.field(name).type, column.name)
            for column in manifest.columns
            for name in [further_column(column.name)]
        ),
        *([pa.array([each.masks for each in found], schema.field("masks").type)] if manifest.has_masks else []),
    ]
    return encode_table(pa.table(arrays, schema=schema), manifest, metadata), described


def encode_table(table: pa.Table, manifest: Manifest, metadata: Mapping[str, str]) -> bytes:
    """Return the bytes of a shard's file.

    Args:
        table: the shard's columns.
        manifest: the store's manifest.
        metadata: what the Parquet footer says beside the schema.
    """
    split = ["confidences", "boxes", "features", *(further_column(each.name) for each in manifest.columns)]
    buffer = io.BytesIO()
    write_parquet(
        table,
        buffer,
        {
            **{f"{name}.list.element": _BYTE_STREAM_SPLIT for name in split},
            **({"masks.list.element": "DELTA_LENGTH_BYTE_ARRAY"} if manifest.has_masks else {}),
        },
        metadata,
    )
    return buffer.getvalue()


def write_parquet(
    table: pa.Table, file: io.BytesIO, encodings: Mapping[str, str], metadata: Mapping[str, str] = _NO_METADATA
) -> None:
    """Write a table with a checksum in every page. Equal tables give equal bytes.

    Args:
        table: the table.
        file: the file.
        encodings: the Parquet encoding of a column, by its path; PLAIN for the others.
        metadata: what the footer says beside the schema.
    """
    with pq.ParquetWriter(
        file,
        table.schema,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,
        column_encoding=dict(encodings),
    ) as writer:
        writer.write_table(table)
        if metadata:
            writer.add_key_value_metadata(dict(metadata))


class _Distinct(NamedTuple):
    """One image with each distinct query once.

    Attributes:
        width: pixels; 0 if the image was skipped.
        height: pixels; 0 if the image was skipped.
        positions: (O,) the place of each candidate's query among the image's distinct queries.
        categories: (O,) c^V.
        confidences: (O,).
        queries: (Q,) the distinct queries, in the order of their first candidate.
        boxes: (Q, 4).
        features: (Q, d_v).
        columns: (Q, dim) for each further column.
        masks: the counts of Q masks; empty for boxes alone.
    """

    width: int
    height: int
    positions: NDArray[np.uint16]
    categories: NDArray[np.int32]
    confidences: NDArray[np.float32]
    queries: NDArray[np.int32]
    boxes: NDArray[np.float32]
    features: NDArray[np.float16]
    columns: Mapping[str, NDArray[np.float16]]
    masks: list[bytes]


def _distinct(image: Candidates | SkippedImage, columns: Sequence[FeatureColumn]) -> _Distinct:
    """Return the distinct queries of an image.

    A query is known by everything that is stored of it, so what a detector gives is kept whatever it numbers alike.
    """
    if isinstance(image, SkippedImage):
        nothing = np.zeros(0, np.float16)
        numbers = np.zeros(0, np.int32)
        return _Distinct(
            0,
            0,
            numbers.astype(np.uint16),
            numbers,
            numbers.astype(np.float32),
            numbers,
            numbers.astype(np.float32),
            nothing,
            {each.name: nothing for each in columns},
            [],
        )
    if set(image.columns) != {each.name for each in columns}:
        raise StoreError(
            f"image {image.image_id!r}: the detector gives the columns {sorted(image.columns)}, but the store holds "
            f"{sorted(each.name for each in columns)}; give the columns that the detector's `columns` names"
        )
    vectors = [image.features, *(image.columns[each.name] for each in columns)]
    places: dict[tuple[object, ...], int] = {}
    firsts: list[int] = []
    positions = np.zeros(len(image), np.uint16)
    for number in range(len(image)):
        key = (
            int(image.queries[number]),
            image.boxes[number].tobytes(),
            None if image.masks is None else image.masks[number]["counts"],
            *(each[number].tobytes() for each in vectors),
        )
        if key not in places:
            places[key] = len(places)
            firsts.append(number)
        positions[number] = places[key]
    return _Distinct(
        image.width,
        image.height,
        positions,
        image.categories,
        image.confidences,
        image.queries[firsts],
        image.boxes[firsts],
        image.features[firsts],
        {each.name: image.columns[each.name][firsts] for each in columns},
        [] if image.masks is None else [image.masks[number]["counts"] for number in firsts],
    )


def _list_field(name: str, element: pa.DataType) -> pa.Field:
    return pa.field(name, pa.list_(pa.field("element", element, nullable=False)), nullable=False)


def _lists(rows: Sequence[NDArray[np.generic]], kind: pa.ListType) -> pa.ListArray:
    values = np.concatenate(rows) if rows else np.zeros(0)
    return pa.ListArray.from_arrays(_offsets(rows), pa.array(values, kind.value_type), type=kind)


def _vectors(rows: Sequence[NDArray[np.float16]], kind: pa.ListType, name: str) -> pa.ListArray:
    """Return lists of vectors of float16, each as its bytes, least significant byte first."""
    dim = kind.value_type.byte_width // 2
    rows = [each.reshape(-1, dim) if each.size == 0 else each for each in rows]
    if any(each.ndim != 2 or each.shape[1] != dim or each.dtype != np.float16 for each in rows):
        raise StoreError(f"{name}: the detector's vectors are not {dim} float16 numbers long, as the store's are")
    content = b"".join(each.astype("<f2").tobytes() for each in rows)
    count = sum(map(len, rows))
    values = pa.FixedSizeBinaryArray.from_buffers(kind.value_type, count, [None, pa.py_buffer(content)])
    return pa.ListArray.from_arrays(_offsets(rows), values, type=kind)


def _offsets(rows: Sequence[NDArray[np.generic]]) -> pa.Int32Array:
    return pa.array(np.cumsum([0, *map(len, rows)]), pa.int32())
