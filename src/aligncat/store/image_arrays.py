"""The candidates of many images of a store as tensors and arrays, for training and evaluation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import StoreError
from aligncat.files.memory import free_memory
from aligncat.store.arrays import (
    BOXES,
    CANDIDATES,
    RELATIVE_BOXES,
    CandidateTensors,
    Part,
    array_shapes,
    by_shard,
    read_arrays,
    read_parts,
)
from aligncat.store.columns import SkippedImage, further_column
from aligncat.store.first_format import FirstShardFiles
from aligncat.store.index import Index
from aligncat.store.manifest import Manifest
from aligncat.store.rows import (
    SHARE_OF_MEMORY,
    CandidateRows,
    RowsInFile,
    RowsInMemory,
    record_type,
    temporary_folder,
)
from aligncat.store.shard_file import ShardFiles
from aligncat.types import FeatureColumn

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)


class _Shared(NamedTuple):
    """The tensors of some images in shared memory.

    Attributes:
        tensors: the training tensors.
        further: the further features, (n, O, dim) float16 each.
    """

    tensors: CandidateTensors
    further: Mapping[FeatureColumn, Tensor]


class ImageArrays:
    """The part of an open store that reads many images at once."""

    def __init__(
        self, files: ShardFiles | FirstShardFiles, manifest: Manifest, index: Index, skipped: Sequence[SkippedImage]
    ) -> None:
        """Keep what an open store consists of.

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
        return CandidateTensors.of(self._arrays(image_ids, CANDIDATES))

    def rows(
        self, image_ids: Sequence[str], columns: Sequence[FeatureColumn] = (), *, memory: int | None = None
    ) -> CandidateRows:
        """Load what training reads of some images: the training tensors, the relative boxes and further features.

        If they take too much memory, they are written to a temporary file, from which batches are read. One log line
        says so. The values are the same.

        Args:
            image_ids: n image ids.
            columns: the further features.
            memory: the most bytes to take; by default half of the memory that is free.

        Raises:
            StoreError: an image or a column is not in the store, a shard is damaged, or the temporary file cannot be
                written.
        """
        import torch

        for each in columns:
            self.manifest.check_column(each, self.folder)
        further = {further_column(each.name): each for each in columns}
        names = (*CANDIDATES, RELATIVE_BOXES, *further)
        if (shared := self._shared.get(tuple(image_ids))) is not None:
            boxes = self._arrays(image_ids, (RELATIVE_BOXES,))
            found = {name: getattr(shared.tensors, name) for name in CANDIDATES}
            found |= {name: shared.further[each] for name, each in further.items()}
            return RowsInMemory(found | {name: torch.from_numpy(array) for name, array in boxes.items()})
        shapes = {name: shape for name, shape in array_shapes(self.manifest, columns).items() if name in names}
        if self._fits(len(image_ids), shapes, memory):
            arrays = self._arrays(image_ids, names, columns)
            return RowsInMemory({name: torch.from_numpy(array) for name, array in arrays.items()})
        parts = self._parts(image_ids)
        folder, size = temporary_folder(self.folder), record_type(shapes).itemsize * len(image_ids)
        logger.info(
            "the candidates of %s images take %.1f GiB, more than may be kept in memory: read from a temporary file "
            "in %s",
            f"{len(image_ids):,}",
            size / 2**30,
            folder,
        )
        read = read_parts(self._files, self.manifest, parts, names)
        return RowsInFile(shapes, ((part.slots, values) for part, values in read), len(image_ids), folder)

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
        import torch

        self.manifest.check_column(column, self.folder)
        if (shared := self._shared.get(tuple(image_ids))) is not None:
            return shared.further[column]
        name = further_column(column.name)
        return torch.from_numpy(self._arrays(image_ids, (name,), (column,))[name])

    def categories(self, image_ids: Sequence[str]) -> NDArray[np.int64]:
        """Load the categories c^V of some images' candidates, (n, O); -1 where there is no candidate.

        Args:
            image_ids: n image ids.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        return self._arrays(image_ids, ("categories",))["categories"]

    def boxes(self, image_ids: Sequence[str]) -> NDArray[np.float32]:
        """Load the boxes of some images' candidates.

        Args:
            image_ids: n image ids.

        Returns:
            (n, O, 4) float32, xyxy pixels; 0 where there is no candidate.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        return self._arrays(image_ids, (BOXES,))[BOXES]

    def relative_boxes(self, image_ids: Sequence[str]) -> NDArray[np.float32]:
        """Load the boxes of some images' candidates in shares of the image's width and height.

        Args:
            image_ids: n image ids.

        Returns:
            (n, O, 4) float32, xyxy; 0 where there is no candidate.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        return self._arrays(image_ids, (RELATIVE_BOXES,))[RELATIVE_BOXES]

    def share(self, image_ids: Sequence[str]) -> bool:
        """Load the training tensors and the further features of some images into shared memory.

        When the store is sent to another process, the tensors go with it without a copy. In that process, `tensors` and
        `further_features` return them if they are called with the same ids in the same order.

        Args:
            image_ids: n image ids, for instance those of a split.

        Returns:
            Whether there is room for them, in memory and in the shared part of it. If not, the other process reads
            them from the shards.

        Raises:
            StoreError: an image is not in the store, or a shard is damaged.
        """
        shapes = array_shapes(self.manifest, self.manifest.columns)
        if not self._fits(len(image_ids), shapes, None):
            return False
        loaded = self.tensors(image_ids)
        further = {each: self.further_features(image_ids, each) for each in self.manifest.columns}
        try:
            for tensor in (loaded.features, loaded.categories, loaded.confidences, loaded.valid, *further.values()):
                tensor.share_memory_()  # type: ignore[no-untyped-call]
        except RuntimeError:  # /dev/shm is full, which Docker limits to 64 MB
            return False
        self._shared[tuple(image_ids)] = _Shared(loaded, further)
        return True

    def _unknown(self, image_id: str) -> StoreError:
        reasons = {each.id: each.reason for each in self.skipped}
        why = f"it was skipped: {reasons[image_id]}" if image_id in reasons else "extract it first"
        return StoreError(f"{self.folder}: image {image_id!r} is not in the store; {why}")

    def _parts(self, image_ids: Sequence[str]) -> list[Part]:
        """Return where the images are, or raise a StoreError that names one that is not in the store."""
        try:
            return by_shard(*self._index.places(image_ids))
        except KeyError as error:
            raise self._unknown(error.args[0]) from None

    def _arrays(
        self, image_ids: Sequence[str], names: Sequence[str], columns: Sequence[FeatureColumn] = ()
    ) -> dict[str, NDArray[Any]]:
        parts = self._parts(image_ids)
        return read_arrays(self._files, self.manifest, parts, len(image_ids), names, columns)

    def _fits(self, count: int, shapes: Mapping[str, Any], memory: int | None) -> bool:
        """Return whether the arrays of so many images may be kept in memory."""
        if memory is None:
            free = free_memory()
            memory = None if free is None else int(SHARE_OF_MEMORY * free)
        return memory is None or record_type(shapes).itemsize * count <= memory
