"""Colour statistics of the photo under a mask, with numpy only: the column `colour`.

The query feature of a detector hardly holds an object's colour, and phrases name colours often. These statistics need
the photo and the mask only, so every detector family has them.

They are computed from at most 48 x 48 pixels: those of a regular grid over the mask's bounding rectangle that lie in
the mask. The pixels are the photo's own, not averages, so an object's colours do not mix with each other or with the
background. Small objects are read whole, and the cost does not depend on the size of the photo.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aligncat.types import FeatureColumn

HUES = 11
"""The number of bins of the colour circle. Red is in the middle of the first one."""
COLOUR = FeatureColumn("colour", version=1, dim=HUES + 6)
"""The column of `colour_statistics`. Another way to compute them is another version."""

_SIDE = 48  # the most rows and the most columns of the grid
_SATURATED = 0.25  # a pixel has a hue if its saturation and value are above these
_DARK = 0.2
_BRIGHT = 0.75  # value above which a pixel without a hue is bright, otherwise grey


def colour_statistics(photo: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return what colours an object has.

    The first 14 numbers are square roots of shares of the object's pixels, and the squares add up to 1: the pixels of
    each of 11 hues, the dark, the grey and the bright ones. The last three are the mean of red, green and blue in
    [0, 1].

    Args:
        photo: (height, width, 3), RGB.
        mask: (height, width), with at least one pixel.

    Returns:
        (17,), each in [0, 1].
    """
    red, green, blue = colours = _sample(photo, mask).T.astype(np.float32) / np.float32(255)
    value, least = colours.max(axis=0), colours.min(axis=0)
    spread = value - least
    saturated = spread > _SATURATED * value
    scale = np.where(spread > 0, spread, 1)
    hue = np.select(  # in sixths of the circle
        [value == red, value == green], [(green - blue) / scale, 2 + (blue - red) / scale], 4 + (red - green) / scale
    )
    bins = np.floor(hue / 6 * HUES + 0.5).astype(np.int64) % HUES
    bins = np.where(saturated, bins, np.where(value > _BRIGHT, HUES + 2, HUES + 1))
    bins = np.where(value > _DARK, bins, HUES)
    shares = np.bincount(bins, minlength=HUES + 3) / bins.size
    return np.concatenate([np.sqrt(shares), colours.mean(axis=1)]).astype(np.float32)


def _sample(photo: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the colours of at most _SIDE² pixels under a mask, (n, 3)."""
    rows, columns = (_range(np.any(mask, axis=axis)) for axis in (1, 0))
    inside = mask[rows, columns]
    if not inside.any():  # a mask of thin pieces can lie between the points of the grid
        places = np.argwhere(mask)
        places = places[:: -(-len(places) // _SIDE**2)]
        return photo[places[:, 0], places[:, 1]]
    sampled: NDArray[np.uint8] = photo[rows, columns][inside]
    return sampled


def _range(occupied: NDArray[np.bool_]) -> slice:
    """Return at most _SIDE evenly spaced places from the first to the last occupied one."""
    places = np.flatnonzero(occupied)
    first, end = int(places[0]), int(places[-1]) + 1
    step = -(-(end - first) // _SIDE)
    return slice(first + ((end - first - 1) % step) // 2, end, step)
