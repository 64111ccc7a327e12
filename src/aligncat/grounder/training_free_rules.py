"""The choice of a candidate by rules: the category, the detector's confidence, colours, places and sizes.

A colour keeps the candidates that have it, if any. Places and sizes order what is left. "Near" and "in front" mean a
low bottom edge, and "far" and "at the back" a high one: on the ground, what is nearer to the camera is lower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligncat.alignment.config import LEAST_CONFIDENCE
from aligncat.grounder.asked import Asked
from aligncat.grounder.distinct import one_of_each
from aligncat.language.attributes import Aspect
from aligncat.phrases.colours import colour_words

_SHARPNESS = 4.0  # of places and sizes in the probabilities: a factor of e⁴ between the best and the worst candidate

_Boxes = NDArray[np.float64]
_ORDERS: Mapping[Aspect, Callable[[_Boxes], NDArray[np.float64]]] = {
    "left": lambda box: -_middle(box, 0),
    "right": lambda box: _middle(box, 0),
    "top": lambda box: -_middle(box, 1),
    "bottom": lambda box: _middle(box, 1),
    "middle": lambda box: -np.abs(_middle(box, 0) - 0.5) - 0.5 * np.abs(_middle(box, 1) - 0.5),
    "near": lambda box: box[:, 3],
    "far": lambda box: -box[:, 3],
    "big": lambda box: _side(box, 0) * _side(box, 1),
    "small": lambda box: -_side(box, 0) * _side(box, 1),
    "tall": lambda box: _side(box, 1),
    "short": lambda box: -_side(box, 1),
}


@dataclass(frozen=True, slots=True)
class Ranking:
    """The choice among the O candidates of an image.

    Attributes:
        choice: the index of the chosen candidate; 0 if there is none.
        of_category: (O,) bool, the candidates of the phrase's category.
        kept: (O,) bool, the candidates that the phrase may mean by category and colour, each object once.
        probabilities: (O,) float32, shares of the kept candidates by confidence, places and sizes; they are not
            calibrated.
    """

    choice: int
    of_category: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    probabilities: NDArray[np.float32]


def choose_by_rules(
    asked: Asked,
    of_category: NDArray[np.bool_],
    confidences: NDArray[np.float32],
    boxes: NDArray[np.float32],
    colours: NDArray[np.floating] | None = None,
    *,
    person: bool = False,
) -> Ranking:
    """Choose among the candidates of an image.

    Args:
        asked: what the phrase asks for.
        of_category: (O,) bool, the candidates of its category; all may be False. Without one, every candidate counts.
        confidences: (O,), highest first.
        boxes: (O, 4) xyxy, in shares of the image.
        colours: (O, 17), the column `colour`; None if the store does not have it.
        person: whether the category is a person's, whose colour is that of the clothes.
    """
    probabilities = np.zeros(len(boxes), np.float32)
    kept = np.zeros(len(boxes), bool)
    if not len(boxes):
        return Ranking(0, of_category, kept, probabilities)
    slots = _objects(of_category if of_category.any() else np.ones_like(of_category), confidences, boxes)
    if asked.colours and colours is not None:
        named = [slot for slot in slots if asked.colours & colour_words(colours[slot], person=person)]
        slots = np.array(named, np.int64) if named else slots
    scores = _scores(asked.aspects, boxes[slots].astype(np.float64))
    place = int(scores.argmax())
    if asked.rank:
        order = np.argsort(-_scores(asked.aspects[:1], boxes[slots].astype(np.float64)), kind="stable")
        place = int(order[min(asked.rank, len(order) - 1)])
        scores = np.where(np.arange(len(slots)) == place, 1.0, 0.0)
    weights = np.maximum(confidences[slots], 1e-9) * np.exp(_SHARPNESS * scores)
    kept[slots] = True
    probabilities[slots] = weights / weights.sum()
    return Ranking(int(slots[place]), of_category, kept, probabilities)


def _objects(
    among: NDArray[np.bool_], confidences: NDArray[np.float32], boxes: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Return the candidates that are confident enough, each object once, most confident first."""
    slots = np.flatnonzero(among)
    slots = slots[confidences[slots] >= LEAST_CONFIDENCE * confidences[slots].max()]
    return np.array(one_of_each(boxes, slots.tolist()), np.int64)


def _scores(aspects: tuple[Aspect, ...], boxes: _Boxes) -> NDArray[np.float64]:
    """Return the sum of the aspects' values, each from 0 (least) to 1 (most) among the candidates."""
    total = np.zeros(len(boxes))
    for aspect in aspects:
        values = _ORDERS[aspect](boxes)
        spread = values.max() - values.min()
        if spread > 0:
            total += (values - values.min()) / spread
    return total


def _middle(boxes: _Boxes, axis: int) -> NDArray[np.float64]:
    middle: NDArray[np.float64] = (boxes[:, axis] + boxes[:, axis + 2]) / 2
    return middle


def _side(boxes: _Boxes, axis: int) -> NDArray[np.float64]:
    side: NDArray[np.float64] = boxes[:, axis + 2] - boxes[:, axis]
    return side
