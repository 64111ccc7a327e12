"""Write a store one shard at a time. Each shard is written atomically, so an unfinished store can be resumed."""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Self

import pyarrow as pa

from aligncat.errors import StoreError
from aligncat.files.atomic import create_atomic, write_atomic
from aligncat.files.temporary import is_empty, remove_left_files
from aligncat.locations import Location, RemotePath, file_sizes
from aligncat.store.columns import IMAGE_FIELDS, SkippedImage, encode_shard
from aligncat.store.complete import COMPLETE, Complete, FileRecord
from aligncat.store.ids import ids_sha256
from aligncat.store.index import INDEX, SOURCES, index_file, sources_file
from aligncat.store.manifest import FIRST_FORMAT, MANIFEST, Manifest, shard_name
from aligncat.store.manifest_file import read_manifest
from aligncat.store.receipt import Receipt
from aligncat.store.shard_file import REMEDY, ShardFiles, identity
from aligncat.store.sources import Stamp
from aligncat.types import JSON, Candidates

_SHARD = re.compile(r"shard-(\d{5,})\.parquet")
_NO_RIGHTS = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_STAMPS: Mapping[str, Stamp] = MappingProxyType({})

logger = logging.getLogger(__name__)


class StoreWriter:
    """A store that is being written.

    Writers of different shards may be at work in one store at the same time: `write` touches its own shard only.
    """

    def __init__(
        self, folder: Location, manifest: Manifest, manifest_sha256: str, *, environment: Mapping[str, JSON]
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
        self._checked: dict[int, Receipt] = {}

    @classmethod
    def open(cls, folder: Location, manifest: Manifest) -> Self:
        """Start a store in a new or empty folder, or resume an unfinished store.

        Raises:
            StoreError: the folder cannot be written, or holds something other than a store; or its store has another
                detector, other images or another layout; or its store is unfinished and was started with other package
                versions, on another device, with another batch size, or in the first format.
        """
        try:
            if not isinstance(folder, RemotePath):
                folder.mkdir(parents=True, exist_ok=True)
                remove_left_files(folder)
            if not (folder / MANIFEST).exists() and is_empty(folder):
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
        if not writer.has_all_shards():
            (folder / COMPLETE).unlink(missing_ok=True)  # a shard was deleted from a finished store
        return writer

    @classmethod
    def join(cls, folder: Location, environment: Mapping[str, JSON]) -> Self:
        """Return a writer of shards for a store that another process has started and will finish.

        Args:
            folder: the store's folder.
            environment: the versions, device and batch size of this process, as in a manifest.

        Raises:
            StoreError: the manifest is missing or damaged.
        """
        return cls(folder, *read_manifest(folder), environment=environment)

    def is_finished(self) -> bool:
        """Return whether the store has been finished and all its shards are there."""
        return (self.folder / COMPLETE).exists() and self.has_all_shards()

    def has_all_shards(self) -> bool:
        """Return whether there is a file for every shard."""
        return len(self._present()) == self.manifest.shards

    def missing(self) -> list[int]:
        """Return the numbers of the shards that are not written yet."""
        present = self._present()
        return [shard for shard in range(self.manifest.shards) if shard not in present]

    def check_shards(self, shards: Sequence[int] | None = None) -> list[int]:
        """Check the shards that are there, and return the numbers of those that must be written.

        A shard that is damaged, or belongs to another store, must be written again; a warning names it.

        Args:
            shards: the numbers of the shards to look at; None for all.

        Raises:
            StoreError: shards must be written again, but other versions, another device or another batch size than
                those of the store would write them.
        """
        wanted = range(self.manifest.shards) if shards is None else shards
        for shard in sorted(self._present().keys() & set(wanted)):
            if shard not in self._checked:
                try:
                    self._checked[shard] = self._check(shard)
                except StoreError as error:
                    logger.warning("%s It is extracted again now.", error)
        unwritten = [shard for shard in wanted if shard not in self._checked]
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
        return f"{done} of {total} images are saved in {self.folder}; run the same command again to resume."

    def write(
        self, shard: int, images: Sequence[Candidates | SkippedImage], stamps: Mapping[str, Stamp] = _NO_STAMPS
    ) -> None:
        """Write one shard of a store that this writer finishes; see `put`."""
        self.accept(self.put(shard, images, stamps))

    def put(
        self, shard: int, images: Sequence[Candidates | SkippedImage], stamps: Mapping[str, Stamp] = _NO_STAMPS
    ) -> Receipt:
        """Write one shard, and keep nothing of it in memory. A good shard that is there already stays as it is.

        So a shard may be written twice, for instance by a process that was thought to be dead.

        Args:
            shard: the shard's number.
            images: its images in order: their candidates, or why they were skipped.
            stamps: what is known of the source files, by image id.

        Returns:
            The receipt of the file that is there now.

        Raises:
            StoreError: the shard cannot be written, for instance because the disk is full, or the candidates are not
                what the manifest says. No partial file is left.
        """
        content, described = encode_shard(images, stamps, self.manifest, identity(self._manifest_sha256, shard))
        with self._named_errors(shard_name(shard)):
            if not create_atomic(self.folder / shard_name(shard), content):
                try:
                    return self._check(shard)
                except StoreError:  # it is damaged, or another store's
                    write_atomic(self.folder / shard_name(shard), content)
        return Receipt(shard, FileRecord.of(content), described)

    def accept(self, receipt: Receipt) -> None:
        """Note that a shard has been written, here or by another process.

        Raises:
            StoreError: it is not a shard of this store.
        """
        if receipt.shard not in range(self.manifest.shards) or receipt.rows != len(
            self.manifest.images_of(receipt.shard)
        ):
            raise StoreError(
                f"{self.folder}: a worker wrote {receipt.name} with {receipt.rows} images, which is no shard of this "
                "store; run the same extraction again"
            )
        self._checked[receipt.shard] = receipt

    def finish(self) -> None:
        """Write the index, the stamps of the photos and complete.json, which marks the store as finished.

        Raises:
            StoreError: shards are missing or damaged, their images are not those of the manifest, or a file cannot be
                written.
        """
        if not self.has_all_shards():
            raise StoreError(f"{self.folder}: the store is not finished. {self.progress()}")
        sizes = self._present()
        for shard in sizes:
            if shard not in self._checked:
                self._checked[shard] = self._check(shard)
            elif sizes[shard] != self._checked[shard].record.size:
                raise StoreError(
                    f"{self.folder / shard_name(shard)}: damaged: it has {sizes[shard]} bytes, but "
                    f"{self._checked[shard].record.size} were written; {REMEDY}."
                )
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
        if isinstance(self.folder, Path):
            remove_left_files(self.folder)  # of workers that were killed
        self._save(INDEX, index)
        self._save(SOURCES, sources)
        self._save(COMPLETE, complete.to_bytes())

    def _present(self) -> dict[int, int]:
        """Return the number and the size, bytes, of each shard whose file is there, in order."""
        found = ((_SHARD.fullmatch(name), size) for name, size in file_sizes(self.folder).items())
        sizes = {int(name[1]): size for name, size in found if name is not None}
        return {shard: sizes[shard] for shard in sorted(sizes) if shard < self.manifest.shards}

    def _check(self, shard: int) -> Receipt:
        content = self._files.content(shard)
        rows = self._files.parse(content, shard, None)
        if self._environment == self.manifest.environment and not self._files.has_usual_bytes(content, rows, shard):
            raise StoreError(f"{self.folder / shard_name(shard)}: damaged; {REMEDY}.")
        return Receipt(shard, FileRecord.of(content), rows.described)

    def _save(self, name: str, content: bytes) -> None:
        with self._named_errors(name):
            write_atomic(self.folder / name, content)

    @contextmanager
    def _named_errors(self, name: str) -> Iterator[None]:
        """Turn the error of a file that cannot be written into one that says what to do and how to resume."""
        try:
            yield
        except OSError as error:
            remedy = "get the right to write there" if error.errno in _NO_RIGHTS else "free some disk space"
            raise StoreError(
                f"{self.folder / name}: cannot be written ({error.strerror}); {remedy}. {self._saved()}"
            ) from error

    def _saved(self) -> str:
        """Return what `progress` says, or how to resume where the folder cannot be listed."""
        try:
            return self.progress()
        except OSError:
            return "Run the same command again to resume."


def _another_store(folder: Location, differing: Sequence[str]) -> StoreError:
    return StoreError(f"{folder}: holds a different store; choose another folder. Differences: {'; '.join(differing)}")
