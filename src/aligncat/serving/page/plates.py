"""Where the numbers of boxes stand on the photo: each near its box, and none on another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST = 400
"""The most plates that are looked at. A photo has no room for more, and the work grows with the square."""
_ROUNDING = 1e-6  # of a side; plates that touch do not cover each other


class Plate(NamedTuple):
    """The rectangle of a number, in pixels of the photo.

    Attributes:
        x: its left edge.
        y: its upper edge.
        width: its width.
        height: its height.
    """

    x: float
    y: float
    width: float
    height: float


def apart(wanted: Iterable[Plate], size: tuple[int, int], taken: Sequence[Plate] = ()) -> list[Plate]:
    """Return plates moved so that none covers another or leaves the photo, each as little as possible.

    A plate for which there is no room stays where it is wanted, and so do those after the first MOST.

    Args:
        wanted: the plates. Earlier ones are placed first.
        size: (width, height) of the photo.
        taken: plates that are there already.
    """
    placed = list(taken)
    for each in wanted:
        inside = each._replace(
            x=min(max(each.x, 0.0), max(size[0] - each.width, 0.0)),
            y=min(max(each.y, 0.0), max(size[1] - each.height, 0.0)),
        )
        placed.append(_free(inside, size, placed))
    return placed[len(taken) :]


def _free(plate: Plate, size: tuple[int, int], placed: Sequence[Plate]) -> Plate:
    """Return the nearest plate that covers none of those that are placed, to the right of others that are as near."""
    if not 0 < len(placed) < MOST:
        return plate
    spots = _spots(plate, size)
    others = np.array(placed)
    gaps = np.abs(spots[:, None] + np.array(plate[2:]) / 2 - others[:, :2] - others[:, 2:] / 2)
    least = (np.array(plate[2:]) + others[:, 2:]) / 2
    free = spots[~(gaps < least * (1 - _ROUNDING)).all(axis=2).any(axis=1)]
    if not len(free):
        return plate
    moved = free - plate[:2]
    nearest = np.lexsort((-moved[:, 0], np.hypot(*moved.T).round(6)))[0]
    x, y = free[nearest].tolist()
    return plate._replace(x=x, y=y)


def _spots(plate: Plate, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the corners (x, y) inside the photo that are whole widths and heights away, (n, 2); with its own."""
    axes = [
        start + side * np.arange(-(start // side), max((whole - start - side) // side, 0) + 1)
        for start, side, whole in zip(plate[:2], plate[2:], size, strict=True)
    ]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
