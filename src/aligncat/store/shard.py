"""Extract the images of one shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from aligncat.detectors.protocol import Detector
from aligncat.errors import ImageError
from aligncat.files.images import read_image
from aligncat.store.writer import SkippedImage
from aligncat.types import Candidates, ImageRecord


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Decoded images that the detector processes in one forward pass.

    Attributes:
        ids: the ids of the images that could be read.
        images: those images, RGB.
        skipped: the images that could not be read.
    """

    ids: tuple[str, ...]
    images: tuple[Image.Image, ...]
    skipped: tuple[SkippedImage, ...]

    @property
    def size(self) -> int:
        """The number of images, including those that could not be read."""
        return len(self.ids) + len(self.skipped)


class ShardContent(NamedTuple):
    """The content of one shard, in the order of its images.

    Attributes:
        candidates: the candidates of each image that could be read.
        skipped: the images that could not be read.
    """

    candidates: list[Candidates]
    skipped: list[SkippedImage]


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
    """Read and decode the images of a batch. An image that cannot be read is listed as skipped."""
    ids: list[str] = []
    images: list[Image.Image] = []
    skipped: list[SkippedImage] = []
    for record in records:
        try:
            images.append(read_image(record.path))
            ids.append(record.id)
        except ImageError as error:
            skipped.append(SkippedImage(record.id, str(error)))
    return DecodedBatch(tuple(ids), tuple(images), tuple(skipped))


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
    content = ShardContent([], [])
    for batch in batches:
        if batch.skipped and not skip_bad_images:
            raise ImageError(batch.skipped[0].reason)
        content.candidates.extend(detector.detect(batch.images, batch.ids))
        content.skipped.extend(batch.skipped)
        advance(batch.size)
    return content
