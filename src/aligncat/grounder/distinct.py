"""Candidates that are one object."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from aligncat.geometry import SAME_OBJECT_IOU, box_iou


def one_of_each(boxes: NDArray[np.float32], slots: Iterable[int]) -> list[int]:
    """Return the candidates that are the first of their object, in the given order.

    Two candidates are one object if the IoU of their boxes is above SAME_OBJECT_IOU.

    Args:
        boxes: (O, 4) xyxy in any unit.
        slots: the candidates to go through, without duplicates.
    """
    order = list(slots)
    same = box_iou(boxes[order], boxes[order]) > SAME_OBJECT_IOU
    kept: list[int] = []
    for place in range(len(order)):
        if not same[place, kept].any():
            kept.append(place)
    return [order[place] for place in kept]
