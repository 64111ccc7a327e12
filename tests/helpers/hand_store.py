"""A small store whose candidates are made by hand: five images in shards of two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from aligncat.geometry import encode_mask
from aligncat.store.ids import ids_sha256
from aligncat.store.manifest import FORMAT, Manifest
from aligncat.store.writer import StoreWriter
from aligncat.types import Candidates
from helpers.descriptions import detector_description

KEPT, DIM = 4, 6
DETECTOR = detector_description(
    name="hand", weights_sha256="ab" * 32, preprocessing={"size": 64, "mean": [0.5, 0.5]}, candidates=KEPT
)


def candidates(number: int, count: int) -> Candidates:
    """Return random candidates of image `number`, with `count` of them."""
    random = np.random.default_rng(number)
    width, height = 10 + number, 7 + number
    return Candidates(
        image_id=f"image {number}",
        width=width,
        height=height,
        features=random.normal(size=(count, DIM)).astype(np.float16),
        queries=random.integers(0, 100, count).astype(np.int32),
        categories=random.integers(0, 3, count).astype(np.int32),
        confidences=np.sort(random.random(count).astype(np.float32))[::-1].copy(),
        boxes=(random.random((count, 4)) * 10).astype(np.float32),
        masks=tuple(encode_mask(random.random((height, width)) > 0.5) for _ in range(count)),
    )


# Five images in shards of two. Some have fewer than KEPT candidates, and one has none.
IMAGES = [candidates(number, count) for number, count in enumerate([4, 2, 0, 4, 1])]


def manifest(**changes: object) -> Manifest:
    made = Manifest(
        format=FORMAT,
        detector=DETECTOR,
        labels=["cat", "dog", "cup"],
        feature_dim=DIM,
        candidates=KEPT,
        images=len(IMAGES),
        image_ids_sha256=ids_sha256([each.image_id for each in IMAGES]),
        shard_size=2,
        environment={"torch": "2.13.0"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def write(folder: Path, shards: int = 3) -> StoreWriter:
    writer = StoreWriter.open(folder, manifest())
    for shard in range(shards):
        writer.write(shard, IMAGES[2 * shard : 2 * shard + 2])
    return writer
