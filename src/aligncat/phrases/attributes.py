"""What a phrase may say of an object, computed from the detector's boxes and colours only.

Each attribute has a strict reading (the object clearly has it) and a lenient one (somebody might say so). A phrase fits
one object only if its attributes hold strictly for the referent, and not all of them hold leniently for any other
object that may have its category. docs/phrases.md lists the thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from aligncat.phrases.objects import PhotoObject

Kind = Literal["color", "size", "place", "relation"]
KINDS: tuple[Kind, ...] = ("color", "size", "place", "relation")
"""The kinds of attribute, by the names that MojiRef's records use too."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that a phrase may say of an object.

    Attributes:
        kind: its kind.
        value: a colour, "big" or "small", a place, or a relation.
        anchor: the object from which a relation starts; None for the other kinds.
    """

    kind: Kind
    value: str
    anchor: PhotoObject | None = None

    @property
    def aspect(self) -> str:
        """What the attribute is about. A phrase has at most one attribute of each aspect."""
        return "height" if self.value in ("top", "bottom") else self.kind

    def holds(self, item: PhotoObject, *, lenient: bool = False) -> bool:
        """Return whether an object has the attribute.

        Args:
            item: the object.
            lenient: whether to use the lenient reading.
        """
        if self.kind == "color":
            return not item.colours or self.value in item.colours if lenient else item.colours == {self.value}
        if self.kind == "size":
            return _SIZES[self.value](item.extent, lenient)
        if self.kind == "place":
            return _PLACES[self.value](*item.center, lenient)
        assert self.anchor is not None, "a relation has an anchor"
        if self.value == "next to":
            return _gap(item, self.anchor) <= (0.2 if lenient else 0.08)
        (x, y), (from_x, from_y) = item.center, self.anchor.center
        return _DIRECTIONS[self.value](x - from_x, y - from_y, lenient)


def attributes_of(item: PhotoObject, others: Sequence[PhotoObject]) -> list[Attribute]:
    """Return all attributes that an object has in the strict reading.

    Args:
        item: the object.
        others: the other objects of its image. A relation starts only from a sure object whose category no other
            object may have.
    """
    possible = [Attribute("color", value) for value in sorted(item.colours)]
    possible += [Attribute("size", value) for value in _SIZES]
    possible += [Attribute("place", value) for value in _PLACES]
    everything = [item, *others]
    anchors = [
        each for each in others if each.sure and sum(each.category in other.categories for other in everything) == 1
    ]
    relations = (*_DIRECTIONS, "next to")
    possible += [Attribute("relation", value, anchor) for anchor in anchors for value in relations]
    return [attribute for attribute in possible if attribute.holds(item)]


_SIZES: dict[str, Callable[[float, bool], bool]] = {
    "big": lambda extent, lenient: extent >= (0.35 if lenient else 0.45),
    "small": lambda extent, lenient: extent <= (0.32 if lenient else 0.24),
}
# Zones of the centre, in shares of the photo.
_PLACES: dict[str, Callable[[float, float, bool], bool]] = {
    "left": lambda x, y, lenient: x <= (0.45 if lenient else 0.36),
    "right": lambda x, y, lenient: x >= (0.55 if lenient else 0.64),
    "top": lambda x, y, lenient: y <= (0.45 if lenient else 0.35),
    "bottom": lambda x, y, lenient: y >= (0.55 if lenient else 0.65),
    "middle": lambda x, y, lenient: (
        abs(x - 0.5) <= (0.2 if lenient else 0.1) and abs(y - 0.5) <= (0.3 if lenient else 0.2)
    ),
}


def _far(along: float, across: float, lenient: bool) -> bool:
    """Return whether an offset leads clearly along a direction, and less across it; in shares of the photo."""
    if lenient:
        return along >= 0.04 and abs(across) <= 0.8 * along + 0.08
    return along >= 0.12 and abs(across) <= 0.7 * along


# Offsets from the anchor's centre to the object's, in shares of the photo.
_DIRECTIONS: dict[str, Callable[[float, float, bool], bool]] = {
    "left of": lambda dx, dy, lenient: _far(-dx, dy, lenient),
    "right of": lambda dx, dy, lenient: _far(dx, dy, lenient),
    "above": lambda dx, dy, lenient: _far(-dy, dx, lenient),
    "below": lambda dx, dy, lenient: _far(dy, dx, lenient),
}


def _gap(first: PhotoObject, second: PhotoObject) -> float:
    """Return the distance between two boxes in shares of the photo, 0 if they touch."""
    across = max(first.box[0] - second.box[2], second.box[0] - first.box[2], 0.0)
    along = max(first.box[1] - second.box[3], second.box[1] - first.box[3], 0.0)
    distance: float = (across * across + along * along) ** 0.5
    return distance
