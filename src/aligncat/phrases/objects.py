"""The distinct objects that a detector finds in an image, as phrases describe them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.colour import COLOUR
from aligncat.geometry import box_iou, mask_iou
from aligncat.phrases.colours import colour_words
from aligncat.phrases.nouns import is_person
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.types import Candidates

_SAME = 0.5  # candidates whose masks have a larger IoU are one object
_SMALLEST = 0.003  # share of the photo below which an object is too small to be described


@dataclass(frozen=True, slots=True)
class PhotoObject:
    """An object that the detector finds in an image.

    Attributes:
        category: the detector's most confident category for it.
        categories: all categories that the detector takes it for.
        colours: the words that people might use for its colour; empty if there is no main colour or it is not known.
        box: (x1, y1, x2, y2) in shares of the photo's width and height.
        extent: the ratio of its box's longer side to the photo's shorter side, both in pixels.
        sure: whether phrases may refer to it: it is confident, has one category, and is not tiny.
    """

    category: str
    categories: frozenset[str]
    colours: frozenset[str]
    box: tuple[float, float, float, float]
    extent: float
    sure: bool

    @property
    def center(self) -> tuple[float, float]:
        """The box's centre (x, y), in shares of the photo's width and height."""
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2, (y1 + y2) / 2


def objects_of(
    candidates: Candidates, labels: Sequence[str], recipe: PhraseRecipe, *, colours: bool
) -> list[PhotoObject]:
    """Return the distinct objects of an image, the most confident one first.

    Args:
        candidates: the image's candidates, most confident first.
        labels: the detector's category names.
        recipe: the smallest confidences.
        colours: whether to read the column of colours.
    """
    rows = [row for row in range(len(candidates)) if candidates.confidences[row] >= recipe.doubtful]
    same = _overlaps(candidates, rows) > _SAME if rows else None
    kept: dict[int, list[int]] = {}  # place of an object's best candidate -> places of all its candidates
    for place in range(len(rows)):
        assert same is not None, "there are candidates"
        best = next((each for each in kept if same[each, place]), place)
        kept.setdefault(best, []).append(place)
    found = []
    for best, places in kept.items():
        row = rows[best]
        names = [labels[candidates.categories[rows[place]]] for place in places]
        x1, y1, x2, y2 = candidates.boxes[row].tolist()
        width, height = candidates.width, candidates.height
        shares = (x1 / width, y1 / height, x2 / width, y2 / height)
        words: frozenset[str] = frozenset()
        if colours:
            words = colour_words(candidates.columns[COLOUR.name][row], person=is_person(names[0]))
        found.append(
            PhotoObject(
                category=names[0],
                categories=frozenset(names),
                colours=words,
                box=shares,
                extent=max(x2 - x1, y2 - y1) / min(width, height),
                sure=bool(candidates.confidences[row] >= recipe.confidence)
                and len(set(names)) == 1
                and (shares[2] - shares[0]) * (shares[3] - shares[1]) >= _SMALLEST,
            )
        )
    return found


def _overlaps(candidates: Candidates, rows: Sequence[int]) -> NDArray[np.float64]:
    """Return the IoU of each two of some candidates: of their masks, or of their boxes if there are boxes alone."""
    if candidates.masks is None:
        return box_iou(candidates.boxes[rows], candidates.boxes[rows])
    masks = [candidates.masks[row] for row in rows]
    return mask_iou(masks, masks)
