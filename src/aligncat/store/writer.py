"""Writing a store: shard by shard, each there whole or not at all, so that it can be taken up again."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aligncat.errors import StoreError
from aligncat.files.atomic import remove_parts, write_atomic
from aligncat.store.manifest import MANIFEST, Manifest, shard_name
from aligncat.types import Candidates

COMPLETE = "complete.json"
SKIPPED_KEY = b"aligncat.skipped"


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that could not be read and was left out.

    Attributes:
        id: the image.
        reason: what was wrong with its file.
    """

    id: str
    reason: str


class StoreWriter:
    """A store being written: which shards are missing, and where they go."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Self:
        """Begin a store in a new or empty folder, or take up an unfinished one.

        Raises:
            StoreError: the folder holds something else, or a store of another detector, other images or
                another layout; or an unfinished one that was begun under other versions or on another device.
        """
        writer = cls(folder, manifest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_parts(folder)
            if not any(folder.iterdir()):
                manifest.write(folder)
        except OSError as error:
            raise StoreError(f"{folder}: a store cannot be begun there ({error.strerror}).") from error
        if not (folder / MANIFEST).exists():
            raise StoreError(f"{folder}: exists, is not empty and is not a store; give another folder.")
        stored = Manifest.read(folder)
        # What is finished is not touched, so it does not matter which versions would be used now.
        wanted = manifest if writer.missing() else replace(manifest, environment=stored.environment)
        if differing := stored.differences(wanted):
            raise StoreError(f"{folder}: holds a store of something else; give another folder. " + "; ".join(differing))
        return writer

    def missing(self) -> list[int]:
        """The shards that are not written yet."""
        return [n for n in range(self.manifest.shards) if not (self.folder / shard_name(n)).exists()]

    def images_done(self) -> int:
        """How many images are in finished shards, the skipped ones included."""
        missing = sum(len(self.manifest.images_of(shard)) for shard in self.missing())
        return self.manifest.images - missing

    def progress(self) -> str:
        """One sentence on what is safe, for whoever has to stop."""
        done, total = self.images_done(), self.manifest.images
        return f"{done} of {total} images are safe in {self.folder}; the same command goes on from there."

    def write(self, shard: int, candidates: Sequence[Candidates], skipped: Sequence[SkippedImage]) -> None:
        """Write one shard.

        Args:
            shard: its number.
            candidates: of its images, in order, without the skipped ones.
            skipped: the images left out.

        Raises:
            StoreError: it could not be written, as on a full disk; nothing of it is left.
        """
        table = _table(candidates, self.manifest)
        table = table.replace_schema_metadata({SKIPPED_KEY: json.dumps([asdict(each) for each in skipped])})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd", use_dictionary=False, write_statistics=False)
        self._save(shard_name(shard), buffer.getvalue())

    def finish(self) -> None:
        """Mark the store as complete, with the list of images that were skipped.

        Raises:
            StoreError: shards are missing or damaged, or the mark could not be written.
        """
        if self.missing():
            raise StoreError(f"{self.folder}: the store is not finished. {self.progress()}")
        skipped = []
        for shard in range(self.manifest.shards):
            path = self.folder / shard_name(shard)
            try:
                metadata = pq.read_schema(path).metadata or {}
                skipped += json.loads(metadata[SKIPPED_KEY])
            except (pa.ArrowException, KeyError, ValueError) as error:
                raise StoreError(f"{path}: damaged; delete it and run extract again.") from error
        summary = {"images": self.manifest.images - len(skipped), "skipped": skipped}
        self._save(COMPLETE, json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n")

    def _save(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            write_atomic(path, content)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror}); make room on the disk. {self.progress()}"
            ) from error


def _table(candidates: Sequence[Candidates], manifest: Manifest) -> pa.Table:
    """One row an image; what an image has fewer of than O is padded: category and query -1, the rest 0."""
    count, kept, dim = len(candidates), manifest.candidates, manifest.feature_dim
    features = np.zeros((count, kept, dim), np.float16)
    queries = np.full((count, kept), -1, np.int32)
    categories = np.full((count, kept), -1, np.int32)
    confidences = np.zeros((count, kept), np.float32)
    boxes = np.zeros((count, kept, 4), np.float32)
    for row, each in enumerate(candidates):
        features[row, : len(each)] = each.features
        queries[row, : len(each)] = each.queries
        categories[row, : len(each)] = each.categories
        confidences[row, : len(each)] = each.confidences
        boxes[row, : len(each)] = each.boxes
    return pa.table(
        {
            "image_id": pa.array([each.image_id for each in candidates], pa.string()),
            "width": pa.array([each.width for each in candidates], pa.int32()),
            "height": pa.array([each.height for each in candidates], pa.int32()),
            "count": pa.array([len(each) for each in candidates], pa.int32()),
            "queries": _fixed(queries, kept),
            "categories": _fixed(categories, kept),
            "confidences": _fixed(confidences, kept),
            "boxes": _fixed(boxes, kept * 4),
            "features": _fixed(features, kept * dim),
            "masks": pa.array([[mask["counts"] for mask in each.masks] for each in candidates], pa.list_(pa.binary())),
        }
    )


def _fixed(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]], length: int) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), length)
