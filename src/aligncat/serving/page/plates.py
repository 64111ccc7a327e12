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
    """Return plates moved so that none covers another or leaves the photo, each by as few of its sides as possible.

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
    others = np.array(placed, np.float64)
    columns, rows = (_spots(*axis) for axis in zip(plate[:2], plate[2:], size, strict=True))
    # A spot is covered if one plate reaches over its column and over its row.
    covered = _reached(rows, plate.height, others[:, 1::2]) @ _reached(columns, plate.width, others[:, ::2]).T
    free_rows, free_columns = np.nonzero(covered == 0)
    if not len(free_rows):
        return plate
    right, down = columns[free_columns] - plate.x, rows[free_rows] - plate.y
    nearest = np.lexsort((-right, np.hypot(right, down).round(6)))[0]
    return plate._replace(x=float(columns[free_columns[nearest]]), y=float(rows[free_rows[nearest]]))


def _spots(start: float, side: float, whole: int) -> NDArray[np.float64]:
    """Return the places along one axis of the photo that are whole sides away from a start, with the start."""
    return start + side * np.arange(-(start // side), max((whole - start - side) // side, 0) + 1)


def _reached(spots: NDArray[np.float64], side: float, others: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return whether a plate on each of n spots and each of m others share a part of one axis, (n, m), 1 or 0.

    Args:
        spots: (n,), where the plate begins.
        side: its side.
        others: (m, 2), where each other begins, and its side.
    """
    distances = np.abs(spots[:, None] + side / 2 - others[:, 0] - others[:, 1] / 2)
    return (distances < (side + others[:, 1]) / 2 * (1 - _ROUNDING)).astype(np.float32)
