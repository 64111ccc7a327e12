"""Write a store one shard at a time. Each shard is written atomically, so an unfinished store can be resumed."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

import pyarrow as pa

from aligncat.errors import StoreError
from aligncat.files.atomic import write_atomic
from aligncat.files.temporary import is_temporary, remove_left_files
from aligncat.store.columns import IMAGE_FIELDS, SkippedImage, encode_shard
from aligncat.store.complete import COMPLETE, Complete, FileRecord
from aligncat.store.ids import ids_sha256
from aligncat.store.index import INDEX, SOURCES, index_file, sources_file
from aligncat.store.manifest import FIRST_FORMAT, MANIFEST, Manifest, shard_name
from aligncat.store.manifest_file import read_manifest
from aligncat.store.shard_file import REMEDY, ShardFiles, identity
from aligncat.store.sources import Stamp
from aligncat.types import JSON, Candidates

_SHARD = re.compile(r"shard-(\d{5,})\.parquet")
_NO_STAMPS: Mapping[str, Stamp] = MappingProxyType({})

logger = logging.getLogger(__name__)


class StoreWriter:
    """A store that is being written.

    Writers of different shards may be at work in one store at the same time: `write` touches its own shard only.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, manifest_sha256: str, *, environment: Mapping[str, JSON]
    ) -> None:
        """Create a writer; use `StoreWriter.open` instead.

        Args:
            folder: the store's folder.
            manifest: the store's manifest.
            manifest_sha256: the hash of the manifest's file.
            environment: the versions, device and batch size of this process, as in a manifest.
        """
        self.folder = folder
        self.manifest = manifest
        self._manifest_sha256 = manifest_sha256
        self._environment = environment
        self._files = ShardFiles(folder, manifest, manifest_sha256, None)
        self._checked: dict[int, _CheckedShard] = {}

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Self:
        """Start a store in a new or empty folder, or resume an unfinished store.

        Raises:
            StoreError: the folder cannot be written, or holds something other than a store; or its store has another
                detector, other images or another layout; or its store is unfinished and was started with other package
                versions, on another device, with another batch size, or in the first format.
        """
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
        stored, stored_sha256 = read_manifest(folder)
        writer = cls(folder, stored, stored_sha256, environment=manifest.environment)
        wanted = manifest
        if stored.format == FIRST_FORMAT:
            if not writer.is_finished():
                raise StoreError(
                    f"{folder}: an unfinished store of an older format, which cannot be resumed; delete it and extract "
                    "again, or extract into another folder."
                )
            wanted = replace(wanted, format=FIRST_FORMAT, columns=())
        # Shards that are there are not changed, so the versions installed now do not matter if all are.
        if writer.has_all_shards():
            wanted = replace(wanted, environment=stored.environment)
        if differing := stored.differences(wanted):
            raise _another_store(folder, differing)
        if not writer.is_finished():
            (folder / COMPLETE).unlink(missing_ok=True)  # a shard was deleted from a finished store
        return writer

    def is_finished(self) -> bool:
        """Return whether the store has been finished and all its shards are there."""
        return (self.folder / COMPLETE).exists() and self.has_all_shards()

    def has_all_shards(self) -> bool:
        """Return whether there is a file for every shard."""
        return len(self._present()) == self.manifest.shards

    def missing(self) -> list[int]:
        """Return the numbers of the shards that are not written yet."""
        present = set(self._present())
        return [shard for shard in range(self.manifest.shards) if shard not in present]

    def check_shards(self) -> list[int]:
        """Check the shards that are there, and return the numbers of those that must be written.

        A shard that is damaged, or belongs to another store, must be written again; a warning names it.

        Raises:
            StoreError: shards must be written again, but other versions, another device or another batch size than
                those of the store would write them.
        """
        for shard in self._present():
            if shard not in self._checked:
                try:
                    self._checked[shard] = self._check(shard)
                except StoreError as error:
                    logger.warning("%s It is extracted again now.", error)
        unwritten = [shard for shard in range(self.manifest.shards) if shard not in self._checked]
        if unwritten and (
            differing := self.manifest.differences(replace(self.manifest, environment=self._environment))
        ):
            raise _another_store(self.folder, differing)
        return unwritten

    def described(self) -> pa.Table:
        """Return the columns IMAGE_FIELDS of the images in the shards that were checked or written, in order."""
        tables = [self._checked[shard].described for shard in sorted(self._checked)]
        return pa.concat_tables([pa.schema(IMAGE_FIELDS).empty_table(), *tables])

    def images_done(self) -> int:
        """Return the number of images in finished shards, including the skipped ones."""
        return sum(len(self.manifest.images_of(shard)) for shard in self._present())

    def progress(self) -> str:
        """Return one line that says how much is saved and how to resume."""
        done, total = self.images_done(), self.manifest.images
        return f"{done} of {total} images are saved in {self.folder}; run the same extraction again to resume."

    def write(
        self, shard: int, images: Sequence[Candidates | SkippedImage], stamps: Mapping[str, Stamp] = _NO_STAMPS
    ) -> None:
        """Write one shard.

        Args:
            shard: the shard's number.
            images: its images in order: their candidates, or why they were skipped.
            stamps: what is known of the source files, by image id.

        Raises:
            StoreError: the shard cannot be written, for instance because the disk is full, or the candidates are not
                what the manifest says. No partial file is left.
        """
        content, described = encode_shard(images, stamps, self.manifest, identity(self._manifest_sha256, shard))
        self._save(shard_name(shard), content)
        self._checked[shard] = _CheckedShard(FileRecord.of(content), described)

    def finish(self) -> None:
        """Write the index, the stamps of the photos and complete.json, which marks the store as finished.

        Raises:
            StoreError: shards are missing or damaged, their images are not those of the manifest, or a file cannot be
                written.
        """
        if not self.has_all_shards():
            raise StoreError(f"{self.folder}: the store is not finished. {self.progress()}")
        for shard in self._present():
            if shard not in self._checked:
                self._checked[shard] = self._check(shard)
        described = self.described()
        ids, reasons = described["image_id"].to_pylist(), described["skipped"].to_pylist()
        if ids_sha256(ids) != self.manifest.image_ids_sha256:
            raise StoreError(
                f"{self.folder}: the images of the shards are not those of the manifest; delete the store and extract "
                "it again."
            )
        skipped = [SkippedImage(one, reason) for one, reason in zip(ids, reasons, strict=True) if reason is not None]
        index, sources = index_file(described), sources_file(described)
        complete = Complete(
            images=len(ids) - len(skipped),
            skipped=skipped,
            manifest_sha256=self._manifest_sha256,
            index=FileRecord.of(index),
            sources=FileRecord.of(sources),
            shards=[self._checked[shard].record for shard in range(self.manifest.shards)],
        )
        self._save(INDEX, index)
        self._save(SOURCES, sources)
        self._save(COMPLETE, complete.to_bytes())

    def _present(self) -> list[int]:
        """Return the numbers of the shards whose files are there, in order."""
        names = (_SHARD.fullmatch(path.name) for path in self.folder.glob("shard-*.parquet"))
        shards = (int(name[1]) for name in names if name is not None)
        return sorted(shard for shard in shards if shard < self.manifest.shards)

    def _check(self, shard: int) -> _CheckedShard:
        content = self._files.content(shard)
        rows = self._files.parse(content, shard, None)
        if self._environment == self.manifest.environment and not self._files.has_usual_bytes(content, rows, shard):
            raise StoreError(f"{self.folder / shard_name(shard)}: damaged; {REMEDY}.")
        return _CheckedShard(FileRecord.of(content), rows.described)

    def _save(self, name: str, content: bytes) -> None:
        path = self.folder / name
        try:
            write_atomic(path, content)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror}); free some disk space. {self.progress()}"
            ) from error


def _another_store(folder: Path, differing: Sequence[str]) -> StoreError:
    return StoreError(f"{folder}: holds a different store; choose another folder. Differences: {'; '.join(differing)}")


class _CheckedShard(NamedTuple):
    """What complete.json, the index and the stamps need to know of a shard.

    Attributes:
        record: the record of its file.
        described: the columns IMAGE_FIELDS of its images.
    """

    record: FileRecord
    described: pa.Table
