"""Open a store, and read single images with their boxes and masks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from aligncat.detectors.description import DetectorDescription
from aligncat.errors import StoreError
from aligncat.locations import Location, location
from aligncat.store.columns import SkippedImage, further_column
from aligncat.store.complete import COMPLETE, read_complete
from aligncat.store.first_format import FirstShardFiles, first_skipped
from aligncat.store.image_arrays import ImageArrays
from aligncat.store.index import Index
from aligncat.store.manifest import FIRST_FORMAT, MANIFEST, Manifest
from aligncat.store.manifest_file import read_manifest
from aligncat.store.shard_file import ShardFiles, ShardRows
from aligncat.store.writer import StoreWriter
from aligncat.types import RLE, Candidates

# Evaluation reads images in any order. With O = 20, this many shards take some tens of megabytes.
_CACHED_SHARDS = 32

logger = logging.getLogger(__name__)


class Store(ImageArrays):
    """A finished store, open for reading."""

    def __init__(
        self, files: ShardFiles | FirstShardFiles, manifest: Manifest, index: Index, skipped: Sequence[SkippedImage]
    ) -> None:
        """Create a store object from what `ImageArrays` keeps; use `Store.open` instead."""
        super().__init__(files, manifest, index, skipped)
        self._shard: Callable[[int], ShardRows] = lru_cache(_CACHED_SHARDS)(lambda shard: files.read(shard))

    @classmethod
    def open(cls, folder: str | Location, *, expect: DetectorDescription | None = None) -> Self:
        """Open a finished store.

        The manifest, complete.json and the index are checked against their hashes, and the shards against their sizes.
        The hash of a shard is checked whenever the shard is read. A store of the first format has no hashes; it opens
        with a warning.

        Args:
            folder: the store's folder: a path, or a URL such as s3://bucket/store (docs/scale.md).
            expect: the description of the detector that must have made the store, except for how its masks are made;
                None accepts any. If it has fewer candidates than the store, the store opens with only the most
                confident ones.

        Raises:
            StoreError: the store is missing, unfinished or damaged, or was made by another detector.
        """
        folder = location(folder)
        manifest, manifest_sha256 = read_manifest(folder)
        if not (folder / COMPLETE).exists():
            writer = StoreWriter(folder, manifest, manifest_sha256, environment={})
            raise StoreError(f"{folder}: the store is not finished. {writer.progress()}")
        if manifest.format == FIRST_FORMAT:
            if not isinstance(folder, Path):
                raise StoreError(f"{folder}: a store of an older format, which is read from a disk alone; copy it")
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

    def candidates(self, image_id: str) -> Candidates:
        """Load the candidates of one image, with boxes and masks. The most recently used shards stay in memory.

        Raises:
            StoreError: the image is not in the store, or its shard is damaged.
        """
        shard, row = self._place(image_id)
        read, rows = self._shard(shard), np.array([row])
        width, height = read.sizes(np.array([row]))[0].tolist()
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
        width, height = read.sizes(np.array([row]))[0].tolist()
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


def _restore(store_class: type[Store], *state: Any) -> Store:
    """Rebuild a pickled store, with its shared tensors."""
    *arguments, shared = state
    store = store_class(*arguments)
    store._shared = shared
    return store
