"""Read a store: tensors for training, candidates with boxes and masks for evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncat.detectors.description import DetectorDescription
from aligncat.errors import StoreError
from aligncat.store.manifest import Manifest, detector_differences, shard_name
from aligncat.store.writer import COMPLETE, SkippedImage, StoreWriter
from aligncat.types import RLE, Candidates
from aligncat.wording import first_line

# Evaluation reads images in any order. With O = 20, this many shards take some tens of megabytes.
_CACHED_SHARDS = 32


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


class Store:
    """A finished store, open for reading."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        places: dict[str, tuple[int, int]],
        skipped: Sequence[SkippedImage],
    ) -> None:
        """Create a store object; use `Store.open` instead.

        Args:
            folder: the store's folder.
            manifest: the store's manifest.
            places: the shard and row of every image, in order.
            skipped: the images that could not be read during extraction.
        """
        self.folder = folder
        self.manifest = manifest
        self.skipped = tuple(skipped)
        self._places = places
        self._shared: dict[tuple[str, ...], CandidateTensors] = {}
        self._shard = lru_cache(_CACHED_SHARDS)(self._read_shard)

    @classmethod
    def open(cls, folder: Path, *, expect: DetectorDescription | None = None) -> Self:
        """Open a finished store.

        Args:
            folder: the store's folder.
            expect: the description of the detector that must have made the store, except for how its masks are made;
                None accepts any. If it has fewer candidates than the store, the store opens with only the most
                confident ones.

        Raises:
            StoreError: the store is missing, unfinished or damaged, or was made by another detector.
        """
        manifest = Manifest.read(folder)
        wanted = manifest.candidates if expect is None else expect.candidates
        described = manifest.narrowed(wanted) if wanted < manifest.candidates else manifest
        if expect is not None and (
            # Masks and boxes may be made differently: no grounder reads them, and evaluation takes those of the store.
            differing := detector_differences(described.detector, expect, ignoring=("masks",))
        ):
            raise StoreError(
                f"{folder}: made by another detector; extract into another folder. Differences: " + "; ".join(differing)
            )
        if not (folder / COMPLETE).exists():
            writer = StoreWriter(folder, manifest)
            raise StoreError(f"{folder}: the store is not finished. {writer.progress()}")
        try:
            complete = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
            skipped = [SkippedImage(**each) for each in complete["skipped"]]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{folder / COMPLETE}: damaged; delete the file and extract again.") from error
        places = {
            image_id: (shard, row)
            for shard in range(manifest.shards)
            for row, image_id in enumerate(_read(folder, shard, ["image_id"])["image_id"].to_pylist())
        }
        return cls(folder, described, places, skipped)

    def narrowed(self, candidates: int) -> Self:
        """Return this store with only the O most confident candidates of each image.

        The result equals a store that was extracted with that O.

        Args:
            candidates: O, at most the number that the store holds.

        Raises:
            StoreError: the store holds fewer.
        """
        return type(self)(self.folder, self.manifest.narrowed(candidates), self._places, self.skipped)

    def share(self, image_ids: Sequence[str]) -> None:
        """Load the training tensors of some images into shared memory.

        When the store is sent to another process, the tensors go with it without a copy. In that process, `tensors`
        returns them if it is called with the same ids in the same order.

        Args:
            image_ids: n image ids, for instance those of a split.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        loaded = self.tensors(image_ids)
        for tensor in (loaded.features, loaded.categories, loaded.confidences, loaded.valid):
            tensor.share_memory_()  # type: ignore[no-untyped-call]
        self._shared[tuple(image_ids)] = loaded

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.folder, self.manifest, self._places, self.skipped, self._shared)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    @property
    def labels(self) -> tuple[str, ...]:
        """The detector's category names, by class index."""
        return tuple(self.manifest.labels)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The ids of the images in the order of extraction, without the skipped ones."""
        return tuple(self._places)

    def tensors(self, image_ids: Sequence[str]) -> CandidateTensors:
        """Load the training tensors of some images.

        A call reads each shard that it needs once, so make one call per split.

        Args:
            image_ids: n image ids in any order; an id may occur more than once.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        if (shared := self._shared.get(tuple(image_ids))) is not None:
            return shared
        kept, dim = self.manifest.candidates, self.manifest.feature_dim
        count = len(image_ids)
        features = np.zeros((count, kept, dim), np.float16)
        categories = np.zeros((count, kept), np.int64)
        confidences = np.zeros((count, kept), np.float32)
        counts = np.zeros(count, np.int32)
        for shard, slots, rows in self._by_shard(image_ids):
            table = _read(self.folder, shard, ["count", "categories", "confidences", "features"])
            features[slots] = _rows(table, "features", dim)[rows, :kept]
            categories[slots] = _rows(table, "categories", 1)[rows, :kept, 0]
            confidences[slots] = _rows(table, "confidences", 1)[rows, :kept, 0]
            counts[slots] = np.minimum(table["count"].to_numpy()[rows], kept)
        return CandidateTensors(
            features=torch.from_numpy(features),
            categories=torch.from_numpy(categories),
            confidences=torch.from_numpy(confidences),
            valid=torch.from_numpy(np.arange(kept) < counts[:, None]),
        )

    def boxes(self, image_ids: Sequence[str]) -> NDArray[np.float32]:
        """Load the boxes of some images' candidates.

        Args:
            image_ids: n image ids.

        Returns:
            (n, O, 4) float32, xyxy pixels; 0 where there is no candidate.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        kept = self.manifest.candidates
        boxes = np.zeros((len(image_ids), kept, 4), np.float32)
        for shard, slots, rows in self._by_shard(image_ids):
            boxes[slots] = _rows(_read(self.folder, shard, ["boxes"]), "boxes", 4)[rows, :kept]
        return boxes

    def candidates(self, image_id: str) -> Candidates:
        """Load the candidates of one image, with boxes and masks.

        The most recently used shards stay in memory.

        Raises:
            StoreError: the image is not in the store, or its shard is damaged.
        """
        shard, row = self._place(image_id)
        table = self._shard(shard).slice(row, 1)
        width, height, count = (table[name][0].as_py() for name in ("width", "height", "count"))
        count = min(count, self.manifest.candidates)
        return Candidates(
            image_id=image_id,
            width=width,
            height=height,
            features=_rows(table, "features", self.manifest.feature_dim)[0, :count],
            queries=_values(table, "queries")[:count],
            categories=_values(table, "categories")[:count],
            confidences=_values(table, "confidences")[:count],
            boxes=_rows(table, "boxes", 4)[0, :count],
            masks=self.masks(image_id),
        )

    def masks(self, image_id: str) -> tuple[RLE, ...]:
        """Load the masks of one image's candidates at the size of the image, most confident candidate first.

        Raises:
            StoreError: the image is not in the store, or its shard is damaged.
        """
        shard, row = self._place(image_id)
        table = self._shard(shard)
        size = [table["height"][row].as_py(), table["width"][row].as_py()]
        return tuple(
            RLE(size=list(size), counts=counts) for counts in table["masks"][row].as_py()[: self.manifest.candidates]
        )

    def _place(self, image_id: str) -> tuple[int, int]:
        try:
            return self._places[image_id]
        except KeyError:
            pass
        reasons = {each.id: each.reason for each in self.skipped}
        why = f"it was skipped: {reasons[image_id]}" if image_id in reasons else "extract it first"
        raise StoreError(f"{self.folder}: image {image_id!r} is not in the store; {why}")

    def _by_shard(self, image_ids: Sequence[str]) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Return (shard, positions in `image_ids`, rows in the shard) for each shard that holds some of the images."""
        places = np.array([self._place(image_id) for image_id in image_ids], dtype=np.intp).reshape(-1, 2)
        order = np.argsort(places[:, 0], kind="stable")
        shards, starts = np.unique(places[order, 0], return_index=True)
        groups = np.split(order, starts[1:]) if len(shards) else []
        return [(int(n), slots, places[slots, 1]) for n, slots in zip(shards, groups, strict=True)]

    def _read_shard(self, shard: int) -> pa.Table:
        return _read(self.folder, shard, None)


def _restore(store_class: type[Store], *state: Any) -> Store:
    """Rebuild a pickled store, with its shared tensors."""
    *arguments, shared = state
    store = store_class(*arguments)
    store._shared = shared
    return store


def _read(folder: Path, shard: int, columns: list[str] | None) -> pa.Table:
    path = folder / shard_name(shard)
    try:
        return pq.read_table(path, columns=columns).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: cannot be read ({first_line(error)}); delete the file and extract again.") from error


def _values(table: pa.Table, column: str) -> NDArray[Any]:
    """Return the values of a column of fixed-size lists as a flat array, without a copy."""
    return cast("NDArray[Any]", table[column].chunk(0).flatten().to_numpy(zero_copy_only=True))


def _rows(table: pa.Table, column: str, width: int) -> NDArray[Any]:
    """Return the values of a column of fixed-size lists as (images, candidates, width), without a copy."""
    return _values(table, column).reshape(len(table), -1, width)
