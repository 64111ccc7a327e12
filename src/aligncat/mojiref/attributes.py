"""Attributes of an object, computed from its annotation only.

Every attribute has a strict reading (the object has it) and a lenient one (a viewer might say so). A phrase is valid
only if its attributes hold strictly for the referent and do not hold, even leniently, for another object of the same
category. The thresholds are documented in docs/mojiref.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["color", "size", "place", "relation"]
KINDS: tuple[Kind, ...] = ("color", "size", "place", "relation")


@dataclass(frozen=True, slots=True)
class Item:
    """An annotated object of instances.json.

    Attributes:
        category: COCO's name of the category.
        nouns: nouns that name the object.
        color: its colour word, or None.
        box: (x1, y1, x2, y2) of its visible part, pixels.
        image_size: (width, height), pixels.
    """

    category: str
    nouns: tuple[str, ...]
    color: str | None
    box: tuple[float, float, float, float]
    image_size: tuple[int, int]

    @property
    def center(self) -> tuple[float, float]:
        """The box's centre (x, y) as fractions of the image."""
        x1, y1, x2, y2 = self.box
        return (x1 + x2) / 2 / self.image_size[0], (y1 + y2) / 2 / self.image_size[1]

    @property
    def extent(self) -> float:
        """The ratio of the box's longer side to the image's shorter side."""
        x1, y1, x2, y2 = self.box
        return max(x2 - x1, y2 - y1) / min(self.image_size)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that a phrase may mention.

    Attributes:
        kind: the kind of attribute.
        value: a colour word, "big" or "small", a place word, or a relation word.
        anchor: the other object of a relation; None for other kinds.
    """

    kind: Kind
    value: str
    anchor: Item | None = None

    def holds(self, item: Item, *, slack: float = 0.0) -> bool:
        """Return whether an item has the attribute.

        Args:
            item: the object.
            slack: 0 for the strict reading; a larger value widens every threshold, for the lenient one.
        """
        if self.kind == "color":
            return item.color == self.value or (slack > 0 and item.color is None)
        if self.kind == "size":
            return item.extent >= 0.40 - slack if self.value == "big" else item.extent <= 0.26 + slack
        if self.kind == "place":
            return _PLACES[self.value](*item.center, slack)
        assert self.anchor is not None, "a relation has an anchor"
        (x, y), (anchor_x, anchor_y) = item.center, self.anchor.center
        return _RELATIONS[self.value](x - anchor_x, y - anchor_y, slack)


# Zones of the centre, in fractions of the image.
_PLACES: dict[str, Callable[[float, float, float], bool]] = {
    "left": lambda x, y, slack: x <= 0.38 + slack,
    "right": lambda x, y, slack: x >= 0.62 - slack,
    "top": lambda x, y, slack: y <= 0.36 + slack,
    "bottom": lambda x, y, slack: y >= 0.64 - slack,
    "middle": lambda x, y, slack: abs(x - 0.5) <= 0.1 + slack and abs(y - 0.5) <= 0.2 + slack,
}
# Offsets from the anchor's centre to the object's, in fractions of the image.
_RELATIONS: dict[str, Callable[[float, float, float], bool]] = {
    "left of": lambda dx, dy, slack: dx <= -0.12 + slack and abs(dy) <= -0.7 * dx + slack,
    "right of": lambda dx, dy, slack: dx >= 0.12 - slack and abs(dy) <= 0.7 * dx + slack,
    "above": lambda dx, dy, slack: dy <= -0.12 + slack and abs(dx) <= -0.7 * dy + slack,
    "below": lambda dx, dy, slack: dy >= 0.12 - slack and abs(dx) <= 0.7 * dy + slack,
    "next to": lambda dx, dy, slack: (dx * dx + dy * dy) ** 0.5 <= 0.34 + slack,
}
PLACES = tuple(_PLACES)
RELATIONS = tuple(_RELATIONS)
SLACK = 0.07


def attributes_of(item: Item, others: Sequence[Item]) -> list[Attribute]:
    """Return all attributes that an item has in the strict reading.

    Args:
        item: the object.
        others: the other objects of its image. An object is an anchor of relations if it is the only one of its
            category in the image.
    """
    true = [] if item.color is None else [Attribute("color", item.color)]
    true += [Attribute("size", value) for value in ("big", "small")]
    true += [Attribute("place", value) for value in PLACES]
    categories = [item.category, *(other.category for other in others)]
    anchors = [other for other in others if categories.count(other.category) == 1]
    true += [Attribute("relation", value, anchor) for anchor in anchors for value in RELATIONS]
    return [attribute for attribute in true if attribute.holds(item)]
