"""Backgrounds of version 2: version 1's, and busier ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from aligncat.mojiref.scenes import background as first_background
from aligncat.mojiref.scenes import muted

PLAIN_RATE = 0.35  # share of scenes with a background of version 1


def background(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Return a background, (H, W, 3) in [0, 255]: one of version 1, or bricks, shapes, clouds or waves."""
    if rng.random() < PLAIN_RATE:
        return first_background(rng, width, height)
    kind = ("bricks", "shapes", "clouds", "waves")[rng.integers(4)]
    if kind == "shapes":
        return _shapes(rng, width, height)
    first, second = (muted(rng) for _ in range(2))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if kind == "bricks":
        high = rng.uniform(16, 28)
        wide = 2.2 * high
        row = np.floor(y / high)
        joint = ((y / high) % 1 < 0.12) | (((x / wide) + 0.5 * (row % 2)) % 1 < 0.06)
        share = np.where(joint, 1.0, 0.25 * rng.random((64, 64))[row.astype(int) % 64, (x / wide).astype(int) % 64])
    elif kind == "clouds":
        share = np.clip(0.5 + 0.5 * _clouds(rng, width, height), 0, 1)
    else:
        period = rng.uniform(18, 40)
        share = 0.5 * ((y + 6 * np.sin(x / width * rng.uniform(8, 30))) / period % 1 < 0.5)
    share = share[..., None].astype(np.float32)
    grain = 2 * rng.standard_normal((height, width, 1), np.float32)
    ground: NDArray[np.float32] = first.astype(np.float32) * (1 - share) + second.astype(np.float32) * share + grain
    return ground


def _shapes(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Return a patchwork of ellipses, rectangles, triangles and lines in muted colours."""
    image = Image.new("RGB", (width, height), _rgb(muted(rng)))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(15, 50))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        a, b = rng.uniform(6, 50, 2)
        color = _rgb(muted(rng))
        kind = rng.integers(4)
        if kind == 0:
            pen.ellipse((x - a, y - b, x + a, y + b), fill=color)
        elif kind == 1:
            pen.rectangle((x - a, y - b, x + a, y + b), fill=color)
        elif kind == 2:
            pen.polygon([(x, y - a), (x - b, y + a), (x + b, y + a)], fill=color)
        else:
            pen.line((x, y, x + 3 * rng.uniform(-a, a), y + 3 * rng.uniform(-b, b)), fill=color, width=4)
    return np.asarray(image).astype(np.float32)


def _clouds(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Return smooth noise of three octaves, (H, W), mostly in [-1, 1]."""
    total = np.zeros((height, width), np.float32)
    for cells, weight in ((4, 0.6), (9, 0.3), (20, 0.2)):
        small = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
        total += weight * np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
    return total


def _rgb(color: NDArray[np.float64]) -> tuple[int, int, int]:
    red, green, blue = (int(channel) for channel in color)
    return red, green, blue
