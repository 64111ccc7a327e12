"""A store of hand-made objects, with the column of colours, and an independent description of colours."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aligncat.geometry import encode_mask
from aligncat.store.ids import ids_sha256
from aligncat.store.manifest import FORMAT, Manifest
from aligncat.store.writer import StoreWriter
from aligncat.types import Candidates, FeatureColumn
from helpers.descriptions import detector_description

SIDE = 100  # every photo is SIDE x SIDE pixels
LABELS = ("dog", "cat", "cup", "chair", "person", "bus")
COLUMN = FeatureColumn("colour", version=1, dim=17)
RED, BLUE, GREEN = (210, 30, 30), (30, 60, 200), (40, 150, 50)


@dataclass(frozen=True)
class Thing:
    """A candidate: its category, its box in pixels, its one colour and its confidence."""

    label: str
    box: tuple[int, int, int, int]
    colour: tuple[int, int, int] = (128, 128, 128)
    confidence: float = 0.95


def statistics(pixels: Sequence[tuple[int, int, int]]) -> NDArray[np.float64]:
    """Return the 17 numbers of the column `colour` for some pixels, one pixel after another."""
    shares = np.zeros(14)
    for red, green, blue in pixels:
        hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        if value <= 0.2:
            place = 11
        elif saturation > 0.25:
            place = round(11 * hue) % 11
        else:
            place = 13 if value > 0.75 else 12
        shares[place] += 1 / len(pixels)
    return np.concatenate([np.sqrt(shares), np.mean(pixels, axis=0) / 255])


def candidates(image_id: str, things: Sequence[Thing]) -> Candidates:
    """Return the candidates of one image, most confident first."""
    things = sorted(things, key=lambda thing: -thing.confidence)
    masks = []
    for thing in things:
        mask = np.zeros((SIDE, SIDE), bool)
        x1, y1, x2, y2 = thing.box
        mask[y1:y2, x1:x2] = True
        masks.append(encode_mask(mask))
    return Candidates(
        image_id=image_id,
        width=SIDE,
        height=SIDE,
        features=np.random.default_rng(len(things)).normal(size=(len(things), 8)).astype(np.float16),
        queries=np.arange(len(things), dtype=np.int32),
        categories=np.array([LABELS.index(thing.label) for thing in things], np.int32),
        confidences=np.array([thing.confidence for thing in things], np.float32),
        boxes=np.array([thing.box for thing in things], np.float32).reshape(-1, 4),
        masks=tuple(masks),
        columns={"colour": np.array([statistics([thing.colour]) for thing in things], np.float16).reshape(-1, 17)},
    )


def write_store(folder: Path, images: Mapping[str, Sequence[Thing]], *, colours: bool = True) -> Path:
    """Write a store of these images, with or without the column of colours, and return its folder."""
    manifest = Manifest(
        format=FORMAT,
        detector=detector_description(name="hand", candidates=8),
        labels=list(LABELS),
        feature_dim=8,
        candidates=8,
        images=len(images),
        image_ids_sha256=ids_sha256(list(images)),
        shard_size=8,
        environment={},
        columns=(COLUMN,) if colours else (),
    )
    writer = StoreWriter.open(folder, manifest)
    rows = [candidates(image_id, things) for image_id, things in images.items()]
    rows = rows if colours else [replace(each, columns={}) for each in rows]
    for shard in range(manifest.shards):
        writer.write(shard, rows[8 * shard : 8 * shard + 8])
    writer.finish()
    return folder
