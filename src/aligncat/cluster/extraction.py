"""Extraction by many workers: each writes whole shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from aligncat.cluster.driver import Driver
from aligncat.cluster.job import Started
from aligncat.detectors.protocol import Detector
from aligncat.locations import Location
from aligncat.store.manifest import Manifest
from aligncat.store.photo import Photo
from aligncat.store.receipt import Receipt
from aligncat.store.shard import read_ahead, split_into_batches, write_shard
from aligncat.store.writer import StoreWriter

if TYPE_CHECKING:  # it imports torch, which only detectors need
    from aligncat.store.extract import Extraction, WriteShards


class ShardTask(NamedTuple):
    """One shard to write.

    Attributes:
        shard: its number.
        images: its images, in order.
    """

    shard: int
    images: tuple[Photo, ...]


@dataclass(frozen=True)
class ExtractionJob:
    """The job of writing shards of one store.

    Attributes:
        open_detector: loads the detector, on the machine that runs it.
        out: the store's folder, which all machines see.
        shard_size: the number of images in a shard.
        skip_bad_images: leave out images that cannot be read, and list them, instead of stopping.
    """

    open_detector: Callable[[], Detector]
    out: Location
    shard_size: int
    skip_bad_images: bool

    def start(self) -> Started:
        """Load the detector. The worker tells the manifest of a store of its detector without images."""
        detector = self.open_detector()
        manifest = Manifest.of(detector, [], self.shard_size)
        return Started(manifest, _ShardWorker(self, detector, manifest))


class _ShardWorker:
    def __init__(self, job: ExtractionJob, detector: Detector, manifest: Manifest) -> None:
        self._job = job
        self._detector = detector
        self._manifest = manifest

    @cached_property
    def _writer(self) -> StoreWriter:
        return StoreWriter.join(self._job.out, self._manifest.environment)

    def __call__(self, task: ShardTask) -> Receipt:
        batches = split_into_batches(task.images, self._detector.batch_size)
        with ThreadPoolExecutor(1) as pool:
            return write_shard(
                self._writer,
                task.shard,
                read_ahead(batches, pool),
                self._detector,
                skip_bad_images=self._job.skip_bad_images,
                advance=lambda images: None,
            )


def by_workers(driver: Driver, extraction: Extraction) -> WriteShards:
    """Return the function that writes shards with the workers of an `ExtractionJob`.

    Args:
        driver: its driver.
        extraction: what to extract.
    """

    def write(writer: StoreWriter, shards: Sequence[int], advance: Callable[[int], object]) -> Iterator[Receipt]:
        for receipt in driver.run(shards, lambda shard: ShardTask(shard, extraction.images_of(shard)), what="shard"):
            advance(receipt.rows)
            yield receipt

    return write
