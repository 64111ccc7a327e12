"""Extract the images of one shard and write it: the unit of work of every extraction, on one machine or many."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from aligncat.detectors.protocol import Detector
from aligncat.errors import ImageError
from aligncat.files.images import decode_image
from aligncat.store.columns import SkippedImage
from aligncat.store.photo import Photo
from aligncat.store.receipt import Receipt
from aligncat.store.sources import Stamp, read_source
from aligncat.store.writer import StoreWriter
from aligncat.types import Candidates


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Images that the detector processes in one forward pass.

    Attributes:
        ids: the ids of all images, in order.
        images: those that could be read, by id, RGB.
        skipped: those that could not be read, by id.
        stamps: what the files were, by id; a file that could not be opened has none.
    """

    ids: tuple[str, ...]
    images: Mapping[str, Image.Image]
    skipped: Mapping[str, SkippedImage]
    stamps: Mapping[str, Stamp]


class ShardContent(NamedTuple):
    """The content of one shard.

    Attributes:
        images: its images in order: their candidates, or why they were skipped.
        stamps: what the files were, by image id.
    """

    images: list[Candidates | SkippedImage]
    stamps: dict[str, Stamp]


def split_into_batches(records: Sequence[Photo], size: int) -> list[Sequence[Photo]]:
    """Split the images of one shard into batches.

    Batches never cross the border of a shard, so a resumed extraction forms the same batches. The detector's results
    can depend on them in the last bits.

    Args:
        records: the shard's images.
        size: the most images in a batch.
    """
    return [records[start : start + size] for start in range(0, len(records), size)]


def read_batch(records: Sequence[Photo]) -> DecodedBatch:
    """Read and decode the images of a batch. An image that cannot be read is listed as skipped.

    Every file is read once, so its stamp is that of the bytes that are decoded.
    """
    images: dict[str, Image.Image] = {}
    skipped: dict[str, SkippedImage] = {}
    stamps: dict[str, Stamp] = {}
    for record in records:
        try:
            content, stamps[record.id] = read_source(record.path)
            images[record.id] = decode_image(io.BytesIO(content), str(record.path))
        except ImageError as error:
            skipped[record.id] = SkippedImage(record.id, str(error))
    return DecodedBatch(tuple(record.id for record in records), images, skipped, stamps)


def extract_shard(
    batches: Iterable[DecodedBatch], detector: Detector, *, skip_bad_images: bool, advance: Callable[[int], object]
) -> ShardContent:
    """Run the detector over the batches of one shard.

    Args:
        batches: the shard's batches, in order.
        detector: the frozen detector.
        skip_bad_images: leave out images that could not be read instead of stopping.
        advance: called after each batch with the number of its images, to report progress.

    Raises:
        ImageError: an image could not be read, and `skip_bad_images` is False.
    """
    content = ShardContent([], {})
    for batch in batches:
        if batch.skipped and not skip_bad_images:
            raise ImageError(next(iter(batch.skipped.values())).reason)
        found = dict(zip(batch.images, detector.detect(tuple(batch.images.values()), tuple(batch.images)), strict=True))
        content.images.extend(batch.skipped.get(image_id) or found[image_id] for image_id in batch.ids)
        content.stamps.update(batch.stamps)
        advance(len(batch.ids))
    return content


def write_shard(
    writer: StoreWriter,
    shard: int,
    batches: Iterable[DecodedBatch],
    detector: Detector,
    *,
    skip_bad_images: bool,
    advance: Callable[[int], object],
) -> Receipt:
    """Run the detector over the batches of one shard, and write the shard under its own name.

    It may be done again at any time, by several processes at once: the first good file stays.

    Args:
        writer: a writer of the store.
        shard: the shard's number.
        batches: the shard's batches, in order.
        detector: the frozen detector.
        skip_bad_images: leave out images that could not be read instead of stopping.
        advance: called after each batch with the number of its images, to report progress.

    Returns:
        The receipt, with which the store is finished.

    Raises:
        ImageError: an image could not be read, and `skip_bad_images` is False.
        StoreError: the shard cannot be written.
    """
    content = extract_shard(batches, detector, skip_bad_images=skip_bad_images, advance=advance)
    return writer.put(shard, content.images, content.stamps)


def read_ahead(batches: Iterable[Sequence[Photo]], pool: ThreadPoolExecutor) -> Iterator[DecodedBatch]:
    """Yield decoded batches, reading the next one in the pool while the detector works on the current one."""
    waiting: deque[Future[DecodedBatch]] = deque()
    for batch in batches:
        waiting.append(pool.submit(read_batch, batch))
        if len(waiting) > 1:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
