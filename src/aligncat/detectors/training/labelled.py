"""Photos with labelled objects, as training and validation read them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aligncat.types import RLE


@dataclass(frozen=True, slots=True)
class LabelledObject:
    """One object of a photo.

    Attributes:
        category: index of its label.
        box: x1, y1, x2, y2 in pixels of the photo.
        mask: its mask at the photo's size; None if only its box is known, which training then takes as the mask.
        crowd: whether it is a group that COCO marks as a crowd. Crowds are not learned, and finding one is no error.
    """

    category: int
    box: tuple[float, float, float, float]
    mask: RLE | None
    crowd: bool = False


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo and its objects.

    Attributes:
        name: its path in the folder of the photos.
        path: the file.
        size: (width, height) in pixels, as it is shown.
        objects: its objects; none for a photo of something else.
    """

    name: str
    path: Path
    size: tuple[int, int]
    objects: tuple[LabelledObject, ...]


def photos_sha256(photos: Sequence[LabelledPhoto]) -> str:
    """Return a hash of the names, the sizes and the objects of photos. Their pixels are not read."""
    digest = hashlib.sha256()
    for photo in photos:
        objects = [
            [each.category, each.box, None if each.mask is None else each.mask["counts"].decode("latin-1"), each.crowd]
            for each in photo.objects
        ]
        digest.update(json.dumps([photo.name, photo.size, objects]).encode())
    return digest.hexdigest()


def hold_out(
    photos: Sequence[LabelledPhoto], share: float, seed: int
) -> tuple[tuple[LabelledPhoto, ...], tuple[LabelledPhoto, ...]]:
    """Divide photos into those to train on and those to hold out, both in their order.

    Args:
        photos: the photos.
        share: the share to hold out. At least one photo is held out and at least one is kept, unless the share is 0 or
            there is only one photo.
        seed: decides which photos are held out.
    """
    possible = share and len(photos) > 1
    count = min(max(round(share * len(photos)), 1), len(photos) - 1) if possible else 0
    chosen = {int(number) for number in np.random.default_rng([seed, len(photos)]).permutation(len(photos))[:count]}
    kept = tuple(photo for number, photo in enumerate(photos) if number not in chosen)
    return kept, tuple(photo for number, photo in enumerate(photos) if number in chosen)
