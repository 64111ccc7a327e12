"""Read columns of many images from the shards of a store, each shard once, as padded arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncat.store.columns import further_column
from aligncat.store.first_format import FirstShardFiles
from aligncat.store.manifest import Manifest
from aligncat.store.shard_file import ShardFiles, ShardRows
from aligncat.types import FeatureColumn

if TYPE_CHECKING:
    from torch import Tensor

CANDIDATES = ("features", "categories", "confidences", "valid")
"""The arrays of `CandidateTensors`."""
BOXES, RELATIVE_BOXES = "boxes", "relative_boxes"
_COLUMNS = {"valid": (), RELATIVE_BOXES: ("boxes", "width", "height")}


@dataclass(frozen=True, slots=True)
class CandidateTensors:
    """The candidates of n images, without boxes and masks, for training.

    Attributes:
        features: (n, O, d_v) float16; 0 where there is no candidate.
        categories: (n, O) int64, c^V, the category of each candidate; -1 where there is no candidate.
        confidences: (n, O) float32; 0 where there is no candidate.
        valid: (n, O) bool, True where there is a candidate.
    """

    features: Tensor
    categories: Tensor
    confidences: Tensor
    valid: Tensor

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> CandidateTensors:
        """Return the tensors of the arrays CANDIDATES, which share their memory."""
        import torch

        return cls(**{name: torch.from_numpy(arrays[name]) for name in CANDIDATES})


class Part(NamedTuple):
    """The images of one shard.

    Attributes:
        shard: the shard's number.
        slots: the places of the images in the arrays.
        rows: their rows in the shard.
    """

    shard: int
    slots: NDArray[np.intp]
    rows: NDArray[np.intp]


def by_shard(shards: NDArray[np.intp], rows: NDArray[np.intp]) -> list[Part]:
    """Return the parts of n images, given their shards and their rows there, in the order of the shards."""
    order = np.argsort(shards, kind="stable")
    found, starts = np.unique(shards[order], return_index=True)
    groups = np.split(order, starts[1:]) if len(found) else []
    return [Part(int(shard), slots, rows[slots]) for shard, slots in zip(found, groups, strict=True)]


def array_shapes(manifest: Manifest, columns: Sequence[FeatureColumn] = ()) -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return the type and the shape that each array has for one image.

    Args:
        manifest: the store's manifest.
        columns: further features; their arrays have the name of their Parquet column.
    """
    kept = manifest.candidates
    return {
        "features": (np.float16, (kept, manifest.feature_dim)),
        "categories": (np.int64, (kept,)),
        "confidences": (np.float32, (kept,)),
        "valid": (np.bool_, (kept,)),
        BOXES: (np.float32, (kept, 4)),
        RELATIVE_BOXES: (np.float32, (kept, 4)),
        **{further_column(each.name): (np.float16, (kept, each.dim)) for each in columns},
    }


def read_arrays(
    files: ShardFiles | FirstShardFiles,
    manifest: Manifest,
    parts: Sequence[Part],
    count: int,
    names: Sequence[str],
    columns: Sequence[FeatureColumn] = (),
) -> dict[str, NDArray[Any]]:
    """Return arrays of n images by name; see `array_shapes`. Padding is 0, in `categories` -1.

    Args:
        files: the shards.
        manifest: the store's manifest, perhaps narrowed.
        parts: where the images are.
        count: n.
        names: the names of the arrays.
        columns: the further features among them.

    Raises:
        StoreError: a shard is damaged.
    """
    shapes = array_shapes(manifest, columns)
    arrays = {name: np.zeros((count, *shapes[name][1]), shapes[name][0]) for name in names}
    for part, values in read_parts(files, manifest, parts, names):
        first, last = int(part.slots[0]), int(part.slots[-1])
        # Images that follow each other in the store mostly do so here too, and then are copied at once.
        in_order = last - first + 1 == len(part.slots) and (np.diff(part.slots) == 1).all()
        for name, array in arrays.items():
            array[slice(first, last + 1) if in_order else part.slots] = values[name]
    return arrays


def read_parts(
    files: ShardFiles | FirstShardFiles, manifest: Manifest, parts: Sequence[Part], names: Sequence[str]
) -> Iterator[tuple[Part, dict[str, NDArray[Any]]]]:
    """Yield each part with the values of the named arrays for its images."""
    wanted = [*dict.fromkeys(column for name in names for column in _COLUMNS.get(name, (name,)))]
    kept = manifest.candidates
    for part in parts:
        read = files.read(part.shard, wanted)
        valid = np.arange(kept) < read.counts[part.rows][:, None]
        yield part, {name: _values(read, name, part.rows, valid) for name in names}


def _values(read: ShardRows, name: str, rows: NDArray[np.intp], valid: NDArray[np.bool_]) -> NDArray[Any]:
    kept = valid.shape[1]
    if name == "valid":
        return valid
    if name == "categories":
        return np.where(valid, read.of_candidates(name, rows, kept), -1)
    if name == "confidences":
        return np.where(valid, read.of_candidates(name, rows, kept), np.float32(0))
    if name == RELATIVE_BOXES:
        sizes = read.sizes(rows).astype(np.float32)
        return read.of_queries(BOXES, rows, kept) / np.tile(sizes, 2)[:, None]
    return read.of_queries(name, rows, kept)
