"""Photos, and extractions of them by one process or by several workers, for tests of workers."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from aligncat.cluster.extraction import ExtractionJob, by_workers
from aligncat.cluster.start import open_driver
from aligncat.detectors.protocol import Detector
from aligncat.locations import Location
from aligncat.store.extract import Extraction, extract_images
from aligncat.store.manifest import Manifest
from aligncat.store.part import Part
from aligncat.store.photo import Photo
from aligncat.store.reader import Store
from aligncat.types import ImageRecord
from helpers.light_detector import LightDetector, Opening

COUNT, SHARD = 14, 4
"""The last of four shards is not full."""


def write_photos(folder: Path) -> list[ImageRecord]:
    """Write COUNT small photos of random colours."""
    random = np.random.default_rng(0)
    records = []
    for number in range(COUNT):
        path = folder / f"{number:02d}.png"
        Image.fromarray(random.integers(0, 256, (6 + number, 9, 3), dtype=np.uint8)).save(path)
        records.append(ImageRecord(f"image {number:02d}", path))
    return records


def by_one(photos: list[Photo], out: Location, *, skip_bad_images: bool = False) -> Store:
    """Extract in this process."""
    return extract_images(
        images=photos, detector=LightDetector(), out=out, shard_size=SHARD, skip_bad_images=skip_bad_images
    )


def by_many(
    photos: list[Photo],
    out: Location,
    detector: Detector | None = None,
    *,
    workers: int = 2,
    ray: str | None = None,
    deadline: float = 600.0,
    part: Part | None = None,
    skip_bad_images: bool = False,
) -> Store | None:
    """Extract with workers."""
    job = ExtractionJob(Opening(detector or LightDetector()), out, SHARD, skip_bad_images)
    with open_driver(job, workers, ray, deadline=deadline, accelerator=False) as driver:
        manifest: Manifest = driver.greeting()
        extraction = Extraction(photos, manifest.with_images([photo.id for photo in photos]), out)
        return extraction.run(by_workers(driver, extraction), part)


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file in a store's folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
