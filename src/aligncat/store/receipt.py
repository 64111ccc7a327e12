"""The receipt of a shard: what the process that wrote it tells the one that finishes the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from aligncat.store.columns import SkippedImage
from aligncat.store.complete import FileRecord
from aligncat.store.manifest import shard_name


@dataclass(frozen=True, slots=True)
class Receipt:
    """What complete.json, the index and the stamps need to know of a shard.

    Attributes:
        shard: the shard's number.
        record: the size and the hash of its file.
        described: the columns IMAGE_FIELDS of its images, in order.
    """

    shard: int
    record: FileRecord
    described: pa.Table

    @property
    def name(self) -> str:
        """The name of its file."""
        return shard_name(self.shard)

    @property
    def rows(self) -> int:
        """The number of its images, including the skipped ones."""
        return int(self.described.num_rows)

    @property
    def skipped(self) -> list[SkippedImage]:
        """The images that were left out."""
        rows: list[dict[str, Any]] = self.described.select(["image_id", "skipped"]).to_pylist()
        return [SkippedImage(each["image_id"], each["skipped"]) for each in rows if each["skipped"] is not None]
