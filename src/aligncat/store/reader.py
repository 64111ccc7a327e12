"""Read a store: tensors for training, candidates with boxes and masks for evaluation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncat.detectors.description import DetectorDescription
from aligncat.errors import StoreError
from aligncat.store.columns import SkippedImage, further_column
from aligncat.store.complete import COMPLETE, read_complete
from aligncat.store.first_format import FirstShardFiles, first_skipped
from aligncat.store.index import Index
from aligncat.store.manifest import FIRST_FORMAT, MANIFEST, Manifest
from aligncat.store.manifest_file import read_manifest
from aligncat.store.shard_file import ShardFiles, ShardRows
from aligncat.store.writer import StoreWriter
from aligncat.types import RLE, Candidates, FeatureColumn

# Evaluation reads images in any order. With O = 20, this many shards take some tens of megabytes.
_CACHED_SHARDS = 32

logger = logging.getLogger(__name__)


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


class _Shared(NamedTuple):
    """The tensors of some images in shared memory.

    Attributes:
        tensors: the training tensors.
        further: the further features, (n, O, dim) float16 each.
    """

    tensors: CandidateTensors
    further: Mapping[FeatureColumn, Tensor]


class Store:
    """A finished store, open for reading."""

    def __init__(
        self, files: ShardFiles | FirstShardFiles, manifest: Manifest, index: Index, skipped: Sequence[SkippedImage]
    ) -> None:
        """Create a store object; use `Store.open` instead.

        Args:
            files: the store's shards.
            manifest: the store's manifest, perhaps narrowed.
            index: the places of the images.
            skipped: the images that could not be read during extraction.
        """
        self.folder = files.folder
        self.manifest = manifest
        self.skipped = tuple(skipped)
        self._files = files
        self._index = index
        self._shared: dict[tuple[str, ...], _Shared] = {}
        self._shard: Callable[[int], ShardRows] = lru_cache(_CACHED_SHARDS)(lambda shard: files.read(shard))

    @classmethod
    def open(cls, folder: str | Path, *, expect: DetectorDescription | None = None) -> Self:
        """Open a finished store.

        The manifest, complete.json and the index are checked against their hashes, and the shards against their sizes.
        The hash of a shard is checked whenever the shard is read. A store of the first format has no hashes; it opens
        with a warning.

        Args:
            folder: the store's folder.
            expect: the description of the detector that must have made the store, except for how its masks are made;
                None accepts any. If it has fewer candidates than the store, the store opens with only the most
                confident ones.

        Raises:
            StoreError: the store is missing, unfinished or damaged, or was made by another detector.
        """
        folder = Path(folder)
        manifest, manifest_sha256 = read_manifest(folder)
        if not (folder / COMPLETE).exists():
            writer = StoreWriter(folder, manifest, manifest_sha256, environment={})
            raise StoreError(f"{folder}: the store is not finished. {writer.progress()}")
        if manifest.format == FIRST_FORMAT:
            first = FirstShardFiles(folder, manifest)
            described = manifest.expected(expect, folder)
            first.check_last()
            store = cls(first, described, Index.of_first_format(first), first_skipped(folder))
            logger.warning(
                "%s: a store of an older format, in which damage is not noticed; extract again into another folder",
                folder,
            )
            return store
        complete = read_complete(folder)
        if complete.manifest_sha256 != manifest_sha256:
            raise StoreError(
                f"{folder / MANIFEST}: damaged: it is not the manifest that the store was finished with; restore it, "
                "or delete the store and extract it again."
            )
        described = manifest.expected(expect, folder)
        files = ShardFiles(folder, manifest, manifest_sha256, complete.shards)
        files.check_sizes()
        return cls(files, described, Index.read(folder, manifest, complete.index), complete.skipped)

    def narrowed(self, candidates: int) -> Self:
        """Return this store with only the O most confident candidates of each image.

        The result equals a store that was extracted with that O.

        Args:
            candidates: O, at most the number that the store holds.

        Raises:
            StoreError: the store holds fewer.
        """
        return type(self)(self._files, self.manifest.narrowed(candidates), self._index, self.skipped)

    def share(self, image_ids: Sequence[str]) -> bool:
        """Load the training tensors and the further features of some images into shared memory.

        When the store is sent to another process, the tensors go with it without a copy. In that process, `tensors` and
        `further_features` return them if they are called with the same ids in the same order.

        Args:
            image_ids: n image ids, for instance those of a split.

        Returns:
            Whether the shared memory has room for them. If not, the other process reads them from the shards.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        loaded = self.tensors(image_ids)
        further = {each: self.further_features(image_ids, each) for each in self.manifest.columns}
        try:
            for tensor in (loaded.features, loaded.categories, loaded.confidences, loaded.valid, *further.values()):
                tensor.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError:  # /dev/shm is full, which Docker limits to 64 MB
            return False
        self._shared[tuple(image_ids)] = _Shared(loaded, further)
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._files, self.manifest, self._index, self.skipped, self._shared)

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._index

    @property
    def labels(self) -> tuple[str, ...]:
        """The detector's category names, by class index."""
        return tuple(self.manifest.labels)

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The ids of the images in the order of extraction, without the skipped ones."""
        return self._index.ids

    def tensors(self, image_ids: Sequence[str]) -> CandidateTensors:
        """Load the training tensors of some images.

        A call reads each shard that it needs once, so make one call per split.

        Args:
            image_ids: n image ids in any order; an id may occur more than once.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        if (shared := self._shared.get(tuple(image_ids))) is not None:
            return shared.tensors
        kept, dim = self.manifest.candidates, self.manifest.feature_dim
        count = len(image_ids)
        features = np.zeros((count, kept, dim), np.float16)
        categories = np.zeros((count, kept), np.int64)
        confidences = np.zeros((count, kept), np.float32)
        counts = np.zeros(count, np.int32)
        for shard, slots, rows in self._by_shard(image_ids):
            read = self._files.read(shard, ["categories", "confidences", "features"])
            features[slots] = read.of_queries("features", rows, kept)
            categories[slots] = read.of_candidates("categories", rows, kept)
            confidences[slots] = read.of_candidates("confidences", rows, kept)
            counts[slots] = read.counts[rows]
        valid = np.arange(kept) < counts[:, None]
        return CandidateTensors(
            features=torch.from_numpy(features),
            categories=torch.from_numpy(np.where(valid, categories, -1)),
            confidences=torch.from_numpy(np.where(valid, confidences, np.float32(0))),
            valid=torch.from_numpy(valid),
        )

    def further_features(self, image_ids: Sequence[str], column: FeatureColumn) -> Tensor:
        """Load a further feature of some images' candidates.

        Args:
            image_ids: n image ids.
            column: the column, with the version and the length that are needed.

        Returns:
            (n, O, dim) float16; 0 where there is no candidate.

        Raises:
            StoreError: the store does not have the column, or has another version of it; an image is not in the store,
                or a shard is damaged.
        """
        self.manifest.check_column(column, self.folder)
        if (shared := self._shared.get(tuple(image_ids))) is not None:
            return shared.further[column]
        name, kept = further_column(column.name), self.manifest.candidates
        features = np.zeros((len(image_ids), kept, column.dim), np.float16)
        for shard, slots, rows in self._by_shard(image_ids):
            features[slots] = self._files.read(shard, [name]).of_queries(name, rows, kept)
        return torch.from_numpy(features)

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
            boxes[slots] = self._files.read(shard, ["boxes"]).of_queries("boxes", rows, kept)
        return boxes

    def relative_boxes(self, image_ids: Sequence[str]) -> NDArray[np.float32]:
        """Load the boxes of some images' candidates in shares of the image's width and height.

        Args:
            image_ids: n image ids.

        Returns:
            (n, O, 4) float32, xyxy; 0 where there is no candidate.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        kept = self.manifest.candidates
        boxes = np.zeros((len(image_ids), kept, 4), np.float32)
        for shard, slots, rows in self._by_shard(image_ids):
            read = self._files.read(shard, ["boxes", "width", "height"])
            sizes = np.array([read.size(row) for row in rows], np.float32)
            boxes[slots] = read.of_queries("boxes", rows, kept) / np.tile(sizes, 2)[:, None]
        return boxes

    def candidates(self, image_id: str) -> Candidates:
        """Load the candidates of one image, with boxes and masks. The most recently used shards stay in memory.

        Raises:
            StoreError: the image is not in the store, or its shard is damaged.
        """
        shard, row = self._place(image_id)
        read, rows = self._shard(shard), np.array([row])
        width, height = read.size(row)
        count = min(int(read.counts[row]), self.manifest.candidates)
        return Candidates(
            image_id=image_id,
            width=width,
            height=height,
            features=read.of_queries("features", rows, count)[0],
            queries=read.of_queries("queries", rows, count)[0, :, 0],
            categories=read.of_candidates("categories", rows, count)[0],
            confidences=read.of_candidates("confidences", rows, count)[0],
            boxes=read.of_queries("boxes", rows, count)[0],
            masks=self.masks(image_id),
            columns={
                each.name: read.of_queries(further_column(each.name), rows, count)[0] for each in self.manifest.columns
            },
        )

    def masks(self, image_id: str) -> tuple[RLE, ...] | None:
        """Load the masks of one image's candidates at the size of the image, most confident candidate first.

        Returns:
            The masks; None if the store holds boxes alone.

        Raises:
            StoreError: the image is not in the store, or its shard is damaged.
        """
        shard, row = self._place(image_id)
        read = self._shard(shard)
        if not self.manifest.has_masks:
            return None
        width, height = read.size(row)
        return tuple(RLE(size=[height, width], counts=counts) for counts in read.masks(row, self.manifest.candidates))

    def check_shards(self) -> None:
        """Check the hash of every shard. Opening a store checks their sizes only.

        Raises:
            StoreError: a shard is damaged.
        """
        for shard in range(self.manifest.shards):
            self._files.read(shard, [])

    def _place(self, image_id: str) -> tuple[int, int]:
        try:
            return self._index.place(image_id)
        except KeyError:
            raise self._unknown(image_id) from None

    def _unknown(self, image_id: str) -> StoreError:
        reasons = {each.id: each.reason for each in self.skipped}
        why = f"it was skipped: {reasons[image_id]}" if image_id in reasons else "extract it first"
        return StoreError(f"{self.folder}: image {image_id!r} is not in the store; {why}")

    def _by_shard(self, image_ids: Sequence[str]) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Return (shard, positions in `image_ids`, rows in the shard) for each shard that holds some of the images."""
        try:
            places, rows = self._index.places(image_ids)
        except KeyError as error:
            raise self._unknown(error.args[0]) from None
        order = np.argsort(places, kind="stable")
        shards, starts = np.unique(places[order], return_index=True)
        groups = np.split(order, starts[1:]) if len(shards) else []
        return [(int(shard), slots, rows[slots]) for shard, slots in zip(shards, groups, strict=True)]


def _restore(store_class: type[Store], *state: Any) -> Store:
    """Rebuild a pickled store, with its shared tensors."""
    *arguments, shared = state
    store = store_class(*arguments)
    store._shared = shared
    return store
