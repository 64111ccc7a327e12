"""complete.json, which marks a store as finished and holds the hashes of all its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from aligncat.errors import DataError, StoreError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, read_json
from aligncat.files.fields import as_mapping, required, required_list, required_str
from aligncat.files.seals import check_seal, sealed
from aligncat.locations import Location
from aligncat.store.columns import SkippedImage
from aligncat.store.manifest_file import MAX_IMAGES, bounded_int, required_hash

COMPLETE = "complete.json"
_SEAL = "sha256"
_REMEDY = "delete it and run the same extraction again"
_MOST_BYTES = 2**62


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The size and the hash of a file of a store.

    Attributes:
        size: its size, bytes.
        sha256: the hash of its content, hexadecimal.
    """

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> FileRecord:
        """Return the record of a file with this content."""
        return cls(len(content), hashlib.sha256(content).hexdigest())

    def fits(self, content: bytes) -> bool:
        """Return whether a file's content is the recorded one."""
        return len(content) == self.size and hashlib.sha256(content).hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Complete:
    """What complete.json says.

    Attributes:
        images: the number of images with candidates.
        skipped: the images that could not be read.
        manifest_sha256: the hash of the manifest's file.
        index: the record of the index.
        sources: the record of the photos' stamps.
        shards: the records of the shards, in order.
    """

    images: int
    skipped: Sequence[SkippedImage]
    manifest_sha256: str
    index: FileRecord
    sources: FileRecord
    shards: Sequence[FileRecord]

    def to_bytes(self) -> bytes:
        """Return the content of complete.json. It ends with the hash of all its other values."""
        content: dict[str, Any] = {
            "images": self.images,
            "skipped": [asdict(each) for each in self.skipped],
            "manifest_sha256": self.manifest_sha256,
            "index": asdict(self.index),
            "sources": asdict(self.sources),
            "shards": [asdict(each) for each in self.shards],
        }
        return json.dumps(sealed(content, _SEAL), indent=2, ensure_ascii=False).encode() + b"\n"


def read_complete(folder: Location) -> Complete:
    """Read the complete.json of a store of this format.

    Raises:
        StoreError: the file is missing or damaged.
    """
    path = folder / COMPLETE
    where = str(path)
    try:
        row = as_mapping(read_json(path, limit=MAX_ANNOTATION_BYTES), where)
        required_hash(row, _SEAL, where)
        complete = Complete(
            images=bounded_int(row, "images", where, 0, MAX_IMAGES),
            skipped=skipped_images(row, where),
            manifest_sha256=required_hash(row, "manifest_sha256", where),
            index=_record(required(row, "index", where), f"{where}: index"),
            sources=_record(required(row, "sources", where), f"{where}: sources"),
            shards=[_record(each, f"{where}: shards") for each in required_list(row, "shards", where)],
        )
    except DataError as error:
        raise StoreError(f"{error}; the file is damaged: {_REMEDY}.") from error
    check_seal(row, where, f"{_REMEDY}.", error=StoreError, key=_SEAL)
    return complete


def skipped_images(row: Mapping[str, object], where: str) -> list[SkippedImage]:
    """Return the skipped images that a complete.json lists, or raise a DataError."""
    entries = [as_mapping(each, f"{where}: skipped") for each in required_list(row, "skipped", where)]
    return [
        SkippedImage(required_str(each, "id", f"{where}: skipped"), required_str(each, "reason", f"{where}: skipped"))
        for each in entries
    ]


def _record(value: object, where: str) -> FileRecord:
    row = as_mapping(value, where)
    return FileRecord(bounded_int(row, "size", where, 0, _MOST_BYTES), required_hash(row, "sha256", where))
