"""Write a store one shard at a time. Each shard is written atomically, so an unfinished store can be resumed."""

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
from aligncat.files.atomic import write_atomic
from aligncat.files.temporary import is_temporary, remove_left_files
from aligncat.store.manifest import MANIFEST, Manifest, shard_name
from aligncat.types import Candidates

COMPLETE = "complete.json"
SKIPPED_KEY = b"aligncat.skipped"


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that could not be read and was left out of the store.

    Attributes:
        id: the image's id.
        reason: the error that reading its file gave.
    """

    id: str
    reason: str


class StoreWriter:
    """A store that is being written."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Self:
        """Start a store in a new or empty folder, or resume an unfinished store.

        Raises:
            StoreError: the folder cannot be written, or holds something other than a store; or its store has another
                detector, other images or another layout; or its store is unfinished and was started with other package
                versions, on another device, or with another batch size.
        """
        writer = cls(folder, manifest)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            remove_left_files(folder)
            if all(is_temporary(path) for path in folder.iterdir()):
                manifest.write(folder)
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot create a store there ({error.strerror}); choose another folder."
            ) from error
        if not (folder / MANIFEST).exists():
            raise StoreError(f"{folder}: the folder is neither empty nor a store; choose another folder.")
        stored = Manifest.read(folder)
        # A finished store is not changed, so the versions installed now do not matter.
        wanted = manifest if writer.missing() else replace(manifest, environment=stored.environment)
        if differing := stored.differences(wanted):
            raise StoreError(
                f"{folder}: holds a different store; choose another folder. Differences: " + "; ".join(differing)
            )
        return writer

    def missing(self) -> list[int]:
        """Return the numbers of the shards that are not written yet."""
        return [n for n in range(self.manifest.shards) if not (self.folder / shard_name(n)).exists()]

    def images_done(self) -> int:
        """Return the number of images in finished shards, including the skipped ones."""
        missing = sum(len(self.manifest.images_of(shard)) for shard in self.missing())
        return self.manifest.images - missing

    def progress(self) -> str:
        """Return one line that says how much is saved and how to resume."""
        done, total = self.images_done(), self.manifest.images
        return f"{done} of {total} images are saved in {self.folder}; run the same extraction again to resume."

    def write(self, shard: int, candidates: Sequence[Candidates], skipped: Sequence[SkippedImage]) -> None:
        """Write one shard.

        Args:
            shard: the shard's number.
            candidates: the candidates of its images, in order, without the skipped images.
            skipped: the skipped images.

        Raises:
            StoreError: the shard cannot be written, for instance because the disk is full. No partial file is left.
        """
        table = _table(candidates, self.manifest)
        table = table.replace_schema_metadata({SKIPPED_KEY: json.dumps([asdict(each) for each in skipped])})
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd", use_dictionary=False, write_statistics=False)
        self._save(shard_name(shard), buffer.getvalue())

    def finish(self) -> None:
        """Write complete.json, which marks the store as finished and lists the skipped images.

        Raises:
            StoreError: shards are missing or damaged, or the file cannot be written.
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
                raise StoreError(f"{path}: damaged; delete the file and extract again.") from error
        summary = {"images": self.manifest.images - len(skipped), "skipped": skipped}
        self._save(COMPLETE, json.dumps(summary, indent=2, ensure_ascii=False).encode() + b"\n")

    def _save(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            write_atomic(path, content)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror}); free some disk space. {self.progress()}"
            ) from error


def _table(candidates: Sequence[Candidates], manifest: Manifest) -> pa.Table:
    """Return a table with one row per image.

    Rows with fewer than O candidates are padded: categories and queries with -1, the other columns with 0.
    """
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
