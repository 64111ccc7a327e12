"""Run the frozen detector once over every image and write a store."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from itertools import chain, islice
from pathlib import Path

from rich.progress import MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from aligncat.console import progress_bar
from aligncat.detectors.protocol import Detector
from aligncat.errors import ConfigError, DataError, ImageError
from aligncat.files.locks import folder_lock
from aligncat.store.complete import COMPLETE, read_complete
from aligncat.store.index import read_sources
from aligncat.store.manifest import FIRST_FORMAT, Manifest
from aligncat.store.reader import Store
from aligncat.store.shard import DecodedBatch, extract_shard, read_batch, split_into_batches
from aligncat.store.sources import check_unchanged
from aligncat.store.writer import StoreWriter
from aligncat.types import ImageRecord

# An interruption loses at most one shard. A real detector takes a minute and a half for a shard on two cores.
SHARD_SIZE = 64
# Speed and remaining time are estimated over this period. On a slow machine, one batch takes longer than rich's default
# of 30 s.
_SPEED_SECONDS = 300.0

logger = logging.getLogger(__name__)


def extract_images(
    *,
    images: Sequence[ImageRecord],
    detector: Detector,
    out: Path,
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
        DataError: two images have the same id, or another process is writing the store.
        ConfigError: shard_size is less than 1.
        StoreError: the folder holds something else, or cannot be written; or photos have changed since their
            candidates were extracted.
        KeyboardInterrupt: the user pressed Ctrl-C; a line has been printed that says how much is saved.
    """
    if shard_size < 1:
        raise ConfigError(f"shard_size {shard_size}: a shard must hold at least one image.")
    ids = [image.id for image in images]
    if repeated := [image_id for image_id, count in Counter(ids).items() if count > 1]:
        raise DataError(f"image id {repeated[0]!r} is given more than once; give every image an id of its own.")
    # Opening a finished store needs no lock, which a read-only disk could not hold.
    read_only = (out / COMPLETE).exists() and not os.access(out, os.W_OK)
    with nullcontext() if read_only else folder_lock(out):
        writer = StoreWriter.open(out, Manifest.of(detector, ids, shard_size))
        finished = writer.is_finished()
        if not finished:
            _resume(writer, images, detector, skip_bad_images)
    store = Store.open(out)
    if finished:
        store.check_shards()
        _check_photos(store, images)
    for skipped in store.skipped:
        logger.warning("left out of the store: %s", skipped.reason)
    if finished:
        logger.info("%s: complete, nothing to do", out)
    return store


def _check_photos(store: Store, images: Sequence[ImageRecord]) -> None:
    """Check that the photos of a finished store have not changed; a store of the first format cannot tell."""
    if store.manifest.format != FIRST_FORMAT:
        record = read_complete(store.folder).sources
        check_unchanged(store.folder, images, read_sources(store.folder, store.manifest, record))


def _resume(writer: StoreWriter, images: Sequence[ImageRecord], detector: Detector, skip_bad_images: bool) -> None:
    missing = writer.check_shards()
    check_unchanged(writer.folder, images, writer.described())
    if missing:
        _extract_shards(writer, missing, images, detector, skip_bad_images)
    writer.finish()


def _extract_shards(
    writer: StoreWriter,
    missing: Sequence[int],
    images: Sequence[ImageRecord],
    detector: Detector,
    skip_bad_images: bool,
) -> None:
    batches = [
        split_into_batches([images[index] for index in writer.manifest.images_of(shard)], detector.batch_size)
        for shard in missing
    ]
    done = writer.manifest.images - sum(len(writer.manifest.images_of(shard)) for shard in missing)
    details = (MofNCompleteColumn(), _ImagesPerSecond(), TimeRemainingColumn())
    with progress_bar(*details, speed_period=_SPEED_SECONDS) as progress, ThreadPoolExecutor(1) as pool:
        task = progress.add_task("extract", total=writer.manifest.images, completed=done)
        decoded = _read_ahead(chain.from_iterable(batches), pool)
        try:
            for shard, own_batches in zip(missing, batches, strict=True):
                content = extract_shard(
                    islice(decoded, len(own_batches)),
                    detector,
                    skip_bad_images=skip_bad_images,
                    advance=partial(progress.advance, task),
                )
                writer.write(shard, content.images, content.stamps)
        except ImageError as error:
            raise ImageError(
                f"{error} Or give --skip-bad-images to leave such images out. {writer.progress()}"
            ) from error
        except KeyboardInterrupt:
            progress.console.print(f"Stopped. {writer.progress()}", soft_wrap=True, highlight=False)
            raise


def _read_ahead(batches: Iterable[Sequence[ImageRecord]], pool: ThreadPoolExecutor) -> Iterator[DecodedBatch]:
    """Yield decoded batches, reading the next one while the detector works on the current one."""
    waiting: deque[Future[DecodedBatch]] = deque()
    for batch in batches:
        waiting.append(pool.submit(read_batch, batch))
        if len(waiting) > 1:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "- images/s")
