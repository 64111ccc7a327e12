"""Extract the images of one shard."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from aligncat.detectors.protocol import Detector
from aligncat.errors import ImageError
from aligncat.files.images import decode_image
from aligncat.store.columns import SkippedImage
from aligncat.store.sources import Stamp, read_source
from aligncat.types import Candidates, ImageRecord


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


def split_into_batches(records: Sequence[ImageRecord], size: int) -> list[Sequence[ImageRecord]]:
    """Split the images of one shard into batches.

    Batches never cross the border of a shard, so a resumed extraction forms the same batches. The detector's results
    can depend on them in the last bits.

    Args:
        records: the shard's images.
        size: the most images in a batch.
    """
    return [records[start : start + size] for start in range(0, len(records), size)]


def read_batch(records: Sequence[ImageRecord]) -> DecodedBatch:
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
