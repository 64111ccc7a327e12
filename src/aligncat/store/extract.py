"""The extract verb: the frozen detector, once over every image, into a store."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PIL import Image
from rich.progress import MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from aligncat.console import progress_bar
from aligncat.detectors.protocol import Detector
from aligncat.errors import ConfigError, DataError, ImageError
from aligncat.files.images import read_image
from aligncat.store.manifest import Manifest
from aligncat.store.reader import Store
from aligncat.store.writer import SkippedImage, StoreWriter
from aligncat.types import Candidates, ImageRecord

# A shard is what an interruption costs at most: about a minute and a half of a real detector on two cores.
SHARD_SIZE = 64
# What speed and time left are estimated over; rich's own 30 s are shorter than a slow machine's batch.
_SPEED_SECONDS = 300.0

logger = logging.getLogger(__name__)


def extract(
    *,
    images: Sequence[ImageRecord],
    detector: Detector,
    out: Path,
    shard_size: int = SHARD_SIZE,
    skip_bad_images: bool = False,
) -> Store:
    """Run the detector once over every image and keep its candidates in a store.

    Stopped at any moment, by Ctrl-C, a kill or a full disk, it goes on where it was when it is called again,
    and leaves the same bytes as if it had not been stopped. A finished store is opened as it is.

    Args:
        images: the images, ids unique.
        detector: the frozen detector.
        out: the store's folder; new, empty, or an unfinished store of the same detector and images.
        shard_size: images a shard; what an interruption may cost.
        skip_bad_images: leave images that cannot be read out of the store and list them, instead of stopping.

    Returns:
        The store, open for reading.

    Raises:
        ImageError: an image cannot be read, and skip_bad_images is off.
        DataError: two images have one id.
        ConfigError: shard_size is out of range.
        StoreError: the folder holds something else, or cannot be written.
        KeyboardInterrupt: Ctrl-C, after a line on what is safe.
    """
    if shard_size < 1:
        raise ConfigError(f"shard_size {shard_size}: a shard holds at least one image.")
    ids = [image.id for image in images]
    if twice := [image_id for image_id, count in Counter(ids).items() if count > 1]:
        raise DataError(f"image id {twice[0]!r} is given more than once; ids are the keys of the store.")
    writer = StoreWriter.open(out, Manifest.of(detector, ids, shard_size))
    if missing := writer.missing():
        _extract_shards(writer, missing, images, detector, skip_bad_images)
    writer.finish()
    store = Store.open(out)
    for skipped in store.skipped:
        logger.warning("left out of the store: %s", skipped.reason)
    return store


def _extract_shards(
    writer: StoreWriter,
    missing: Sequence[int],
    images: Sequence[ImageRecord],
    detector: Detector,
    skip_bad_images: bool,
) -> None:
    shards = [[images[place] for place in writer.manifest.images_of(shard)] for shard in missing]
    # Batches never cross a shard's border, so that a resumed run makes up the same ones.
    step = detector.batch_size
    batches = [shard[start : start + step] for shard in shards for start in range(0, len(shard), step)]
    details = (MofNCompleteColumn(), _ImagesPerSecond(), TimeRemainingColumn())
    with progress_bar(*details, speed_period=_SPEED_SECONDS) as progress, ThreadPoolExecutor(1) as pool:
        task = progress.add_task("extract", total=writer.manifest.images, completed=writer.images_done())
        pictures = _read_ahead(batches, pool)
        try:
            for shard, records in zip(missing, shards, strict=True):
                found: list[Candidates] = []
                skipped: list[SkippedImage] = []
                for start in range(0, len(records), step):
                    batch = records[start : start + step]
                    good, bad = _sort_out(batch, next(pictures))
                    if bad and not skip_bad_images:
                        raise ImageError(
                            f"{bad[0].reason} Or give --skip-bad-images to leave such images out. {writer.progress()}"
                        )
                    found += detector.detect([picture for _, picture in good], [each.id for each, _ in good])
                    skipped += bad
                    progress.advance(task, len(batch))
                writer.write(shard, found, skipped)
        except KeyboardInterrupt:
            progress.console.print(f"Stopped. {writer.progress()}", soft_wrap=True, highlight=False)
            raise


def _sort_out(
    records: Sequence[ImageRecord], pictures: Sequence[Image.Image | ImageError]
) -> tuple[list[tuple[ImageRecord, Image.Image]], list[SkippedImage]]:
    good: list[tuple[ImageRecord, Image.Image]] = []
    bad: list[SkippedImage] = []
    for record, picture in zip(records, pictures, strict=True):
        if isinstance(picture, ImageError):
            bad.append(SkippedImage(record.id, str(picture)))
        else:
            good.append((record, picture))
    return good, bad


def _read_ahead(
    batches: Iterable[Sequence[ImageRecord]], pool: ThreadPoolExecutor
) -> Iterator[list[Image.Image | ImageError]]:
    """Read one batch while the detector works on the one before."""
    waiting: deque[Future[list[Image.Image | ImageError]]] = deque()
    for batch in batches:
        waiting.append(pool.submit(_read_batch, batch))
        if len(waiting) > 1:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read_batch(batch: Sequence[ImageRecord]) -> list[Image.Image | ImageError]:
    return [_read_or_error(record.path) for record in batch]


def _read_or_error(path: Path) -> Image.Image | ImageError:
    try:
        return read_image(path)
    except ImageError as error:
        return error


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} images/s" if speed else "- images/s")
