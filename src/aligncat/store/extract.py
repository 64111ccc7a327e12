"""Run the frozen detector once over every image and write a store."""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from rich.progress import MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from aligncat.console import progress_bar
from aligncat.detectors.protocol import Detector
from aligncat.errors import ConfigError, DataError, ImageError, LockedError
from aligncat.files.locks import folder_lock, path_lock
from aligncat.locations import Location
from aligncat.store.complete import COMPLETE, read_complete
from aligncat.store.index import read_sources
from aligncat.store.manifest import FIRST_FORMAT, Manifest
from aligncat.store.part import Part
from aligncat.store.photo import Photo
from aligncat.store.reader import Store
from aligncat.store.receipt import Receipt
from aligncat.store.shard import read_ahead, split_into_batches, write_shard
from aligncat.store.sources import check_unchanged
from aligncat.store.writer import StoreWriter

# An interruption loses at most one shard. A real detector takes a minute and a half for a shard on two cores.
SHARD_SIZE = 64
# Speed and remaining time are estimated over this period. On a slow machine, one batch takes longer than rich's default
# of 30 s.
_SPEED_SECONDS = 300.0
# How long a part waits for the lock of the whole store. A part that starts holds it for a moment.
_LOCK_SECONDS, _LOCK_STEP = 60.0, 0.2

logger = logging.getLogger(__name__)

WriteShards = Callable[[StoreWriter, Sequence[int], Callable[[int], object]], Iterator[Receipt]]
"""Writes shards: it is given a writer of the store, the shards' numbers, and a function to call with the number of
images that are done; it yields the shards' receipts in any order."""


def extract_images(
    *,
    images: Sequence[Photo],
    detector: Detector,
    out: Location,
    shard_size: int = SHARD_SIZE,
    skip_bad_images: bool = False,
) -> Store:
    """Run the detector once over every image and keep its candidates in a store.

    After an interruption (Ctrl-C, a kill, a full disk), the same call resumes. The store then has the same bytes as
    one that was never interrupted. If the store is already finished, it is only opened. In both cases, photos that have
    changed since are an error.

    Args:
        images: the images, with unique ids.
        detector: the frozen detector.
        out: the store's folder: new, empty, or an unfinished store of the same detector and images.
        shard_size: the number of images in a shard. An interruption loses at most one shard.
        skip_bad_images: leave out images that cannot be read and list them, instead of stopping.

    Returns:
        The store, open for reading.

    Raises:
        ImageError: an image cannot be read, and `skip_bad_images` is False.
        DataError: two images have the same id, another process is writing the store, or the server of a remote image
            cannot be reached.
        ConfigError: shard_size is less than 1.
        StoreError: the folder holds something else, or cannot be written; or photos have changed since their
            candidates were extracted.
        KeyboardInterrupt: the user pressed Ctrl-C; a line has been printed that says how much is saved.
    """
    if shard_size < 1:
        raise ConfigError(f"shard_size {shard_size}: a shard must hold at least one image.")
    counts = Counter(image.id for image in images)
    if repeated := next((image_id for image_id, count in counts.items() if count > 1), None):
        raise DataError(f"image id {repeated!r} is given more than once; give every image an id of its own.")
    extraction = Extraction(images, Manifest.of(detector, [image.id for image in images], shard_size), out)
    return extraction.whole(extraction.in_this_process(detector, skip_bad_images=skip_bad_images))


@dataclass(frozen=True)
class Extraction:
    """What to extract, whoever runs the detector.

    Attributes:
        images: the images, with unique ids.
        manifest: the manifest of a new store with them.
        out: the store's folder: new, empty, or an unfinished store of the same detector and images.
    """

    images: Sequence[Photo]
    manifest: Manifest
    out: Location

    def run(self, write_shards: WriteShards, part: Part | None) -> Store | None:
        """Do `whole`, or `part` if a part is given."""
        return self.whole(write_shards) if part is None else self.part(write_shards, part)

    def whole(self, write_shards: WriteShards) -> Store:
        """Write the shards that are missing, finish the store and return it; see `extract_images` for the errors."""
        out = self.out
        with self._lock():
            writer = StoreWriter.open(out, self.manifest)
            finished = writer.is_finished()
            if not finished:
                self._write(writer, write_shards, range(writer.manifest.shards))
                writer.finish()
        store = Store.open(out)
        if finished:
            store.check_shards()
            self._check_photos(store)
        for skipped in store.skipped:
            logger.warning("left out of the store: %s", skipped.reason)
        if finished:
            logger.info("%s: complete, nothing to do", out)
        return store

    def part(self, write_shards: WriteShards, part: Part) -> Store | None:
        """Write the shards of a part that are missing, and finish the store if no other shard is missing then.

        Any number of parts may be written at the same time, on machines that share the folder. The last of them
        finishes the store. So does `whole`, at any time.

        Returns:
            The store; None if shards of other parts are missing, or another process is finishing the store.

        Raises:
            LockedError: another process writes the same part.
            AligncatError: as for `extract_images`.
        """
        name = f"part-{part.number}-of-{part.count}"
        with self._lock(name):
            writer = StoreWriter.open(self.out, self.manifest)
            own = part.of(range(writer.manifest.shards))
            if not own:
                logger.info(
                    "%s: there are only %s shards, so part %s has none", self.out, f"{writer.manifest.shards:,}", part
                )
            if not writer.is_finished():
                self._write(writer, write_shards, own)
        if missing := writer.missing():
            logger.info(
                "%s: part %s is done; %s shards of other parts are missing, the last part will finish the store",
                self.out,
                part,
                f"{len(missing):,}",
            )
            return None
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                return self.whole(write_shards)
            except LockedError as error:
                if time.monotonic() > until:
                    logger.info("%s: part %s is done; another process finishes the store (%s)", self.out, part, error)
                    return None
            time.sleep(_LOCK_STEP)

    def in_this_process(self, detector: Detector, *, skip_bad_images: bool) -> WriteShards:
        """Return the function that runs the detector in this process."""

        def write(writer: StoreWriter, shards: Sequence[int], advance: Callable[[int], object]) -> Iterator[Receipt]:
            batches = [split_into_batches(self.images_of(shard), detector.batch_size) for shard in shards]
            with ThreadPoolExecutor(1) as pool:
                decoded = read_ahead(chain.from_iterable(batches), pool)
                for shard, own in zip(shards, batches, strict=True):
                    part = islice(decoded, len(own))
                    yield write_shard(writer, shard, part, detector, skip_bad_images=skip_bad_images, advance=advance)

        return write

    def images_of(self, shard: int) -> tuple[Photo, ...]:
        """Return the images of a shard."""
        return tuple(self.images[index] for index in self.manifest.images_of(shard))

    def _write(self, writer: StoreWriter, write_shards: WriteShards, shards: Sequence[int]) -> None:
        """Write those of some shards that are missing or damaged."""
        missing = writer.check_shards(shards)
        check_unchanged(writer.folder, self.images, writer.described())
        if not missing:
            return
        manifest = writer.manifest
        total = sum(len(manifest.images_of(shard)) for shard in shards)
        done = total - sum(len(manifest.images_of(shard)) for shard in missing)
        details = (MofNCompleteColumn(), _ImagesPerSecond(), TimeRemainingColumn())
        with progress_bar(*details, speed_period=_SPEED_SECONDS) as progress:
            task = progress.add_task("extract", total=total, completed=done)
            try:
                for receipt in write_shards(writer, missing, lambda count: progress.advance(task, count)):
                    writer.accept(receipt)
            except ImageError as error:
                raise ImageError(
                    f"{error} Or give --skip-bad-images to leave such images out. {writer.progress()}"
                ) from error
            except KeyboardInterrupt:
                progress.console.print(f"Stopped. {writer.progress()}", soft_wrap=True, highlight=False)
                raise

    def _check_photos(self, store: Store) -> None:
        """Check that the photos of a finished store have not changed; a store of the first format cannot tell."""
        if store.manifest.format != FIRST_FORMAT:
            record = read_complete(store.folder).sources
            check_unchanged(store.folder, self.images, read_sources(store.folder, store.manifest, record))

    def _lock(self, part: str | None = None) -> AbstractContextManager[None]:
        """Return the lock of the whole store, or of a part with a name.

        Opening a finished store needs no lock, which a read-only disk could not hold. A remote folder has no lock: of
        several writers of a shard, the first counts.
        """
        out = self.out
        if not isinstance(out, Path) or ((out / COMPLETE).exists() and not os.access(out, os.W_OK)):
            return nullcontext()
        return folder_lock(out) if part is None else path_lock(out / part)


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "- images/s")
