"""Reading a store: tensors for training, candidates with boxes and masks for evaluation."""

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

# Evaluation meets images in any order; this many shards with O = 20 are some tens of megabytes.
_CACHED_SHARDS = 32


@dataclass(frozen=True, slots=True)
class CandidateTensors:
    """The candidates of n images as training sees them: no boxes, no masks.

    Attributes:
        features: (n, O, d_v) float16; 0 where there is no candidate.
        categories: (n, O) int64, c^V; -1 where there is no candidate.
        confidences: (n, O) float32; 0 where there is no candidate.
        valid: (n, O) bool, whether there is a candidate.
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
        """Use `Store.open`.

        Args:
            folder: where it is.
            manifest: what made it.
            places: the shard and row of every image, in order.
            skipped: images that could not be read when it was made.
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
            folder: where it is.
            expect: the description of the detector that must have made it, if that matters. Where it kept fewer
                candidates than the store holds, the store is opened with the best of them alone.

        Raises:
            StoreError: it is missing, unfinished, damaged, or was made by another detector.
        """
        manifest = Manifest.read(folder)
        wanted = manifest.candidates if expect is None else expect.candidates
        described = manifest.narrowed(wanted) if wanted < manifest.candidates else manifest
        if expect is not None and (differing := detector_differences(described.detector, expect)):
            raise StoreError(
                f"{folder}: made by another detector; extract into another folder. " + "; ".join(differing)
            )
        if not (folder / COMPLETE).exists():
            writer = StoreWriter(folder, manifest)
            raise StoreError(f"{folder}: the store is not finished. {writer.progress()}")
        try:
            complete = json.loads((folder / COMPLETE).read_text(encoding="utf-8"))
            skipped = [SkippedImage(**each) for each in complete["skipped"]]
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{folder / COMPLETE}: damaged; delete it and run extract again.") from error
        places = {
            image_id: (shard, row)
            for shard in range(manifest.shards)
            for row, image_id in enumerate(_read(folder, shard, ["image_id"])["image_id"].to_pylist())
        }
        return cls(folder, described, places, skipped)

    def narrowed(self, candidates: int) -> Self:
        """This store with the best O of its candidates alone, equal to one that was extracted with that O.

        Args:
            candidates: O, at most what the store holds.

        Raises:
            StoreError: the store holds fewer.
        """
        return type(self)(self.folder, self.manifest.narrowed(candidates), self._places, self.skipped)

    def share(self, image_ids: Sequence[str]) -> None:
        """Load what training sees of these images, once, into memory that other processes read too.

        A store that is sent to another process takes it along without a copy, and `tensors` of the same images, in
        the same order, gives it out there.

        Args:
            image_ids: n images, for instance of a split.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        found = self.tensors(image_ids)
        for tensor in (found.features, found.categories, found.confidences, found.valid):
            tensor.share_memory_()  # type: ignore[no-untyped-call]
        self._shared[tuple(image_ids)] = found

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (type(self), self.folder, self.manifest, self._places, self.skipped, self._shared)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    @property
    def labels(self) -> tuple[str, ...]:
        """The detector's category names, by contiguous index."""
        return tuple(self.manifest.labels)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The images, in the order of extraction, without those that were skipped."""
        return tuple(self._places)

    def tensors(self, image_ids: Sequence[str]) -> CandidateTensors:
        """Load what training sees of these images, each shard once; call it once for a split.

        Args:
            image_ids: n images, in the order wanted; one may come twice.

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
        """The candidates' boxes: (n, O, 4) xyxy pixels; 0 where there is no candidate.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        kept = self.manifest.candidates
        boxes = np.zeros((len(image_ids), kept, 4), np.float32)
        for shard, slots, rows in self._by_shard(image_ids):
            boxes[slots] = _rows(_read(self.folder, shard, ["boxes"]), "boxes", 4)[rows, :kept]
        return boxes

    def candidates(self, image_id: str) -> Candidates:
        """Everything that is known of one image; the shards used last stay in memory.

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
        """The candidates' masks at the image's size, best candidate first.

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
        """For each shard that these images need: their places in the request, and their rows in the shard."""
        places = np.array([self._place(each) for each in image_ids], dtype=np.intp).reshape(-1, 2)
        order = np.argsort(places[:, 0], kind="stable")
        shards, starts = np.unique(places[order, 0], return_index=True)
        groups = np.split(order, starts[1:]) if len(shards) else []
        return [(int(n), slots, places[slots, 1]) for n, slots in zip(shards, groups, strict=True)]

    def _read_shard(self, shard: int) -> pa.Table:
        return _read(self.folder, shard, None)


def _reopened(kind: type[Store], *arguments: Any) -> Store:
    *made, shared = arguments
    store = kind(*made)
    store._shared = shared
    return store


def _read(folder: Path, shard: int, columns: list[str] | None) -> pa.Table:
    path = folder / shard_name(shard)
    try:
        return pq.read_table(path, columns=columns).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: cannot be read ({first_line(error)}); delete it and run extract again.") from error


def _values(table: pa.Table, column: str) -> NDArray[Any]:
    """The numbers of a column of fixed-size lists, flat, without a copy."""
    return cast("NDArray[Any]", table[column].chunk(0).flatten().to_numpy(zero_copy_only=True))


def _rows(table: pa.Table, column: str, width: int) -> NDArray[Any]:
    """(images, candidates, width), the numbers of a column of fixed-size lists, without a copy."""
    return _values(table, column).reshape(len(table), -1, width)
