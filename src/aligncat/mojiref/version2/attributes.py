"""Attributes of an object of version 2, computed from its annotation only.

As in version 1, an attribute has a strict reading (the object has it) and a lenient one (a viewer might say so). The
thresholds are documented in docs/mojiref.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aligncat.mojiref import attributes as first
from aligncat.mojiref.version2.paint import TEXTURES

Kind = Literal["color", "texture", "size", "place", "order", "relation", "clothes", "action"]
KINDS: tuple[Kind, ...] = ("color", "texture", "size", "place", "order", "relation", "clothes", "action")


@dataclass(frozen=True, slots=True)
class Item(first.Item):
    """An annotated object of instances.json.

    Attributes:
        texture: "plain" or its pattern; None if a viewer could call it something else.
        wears: what a person visibly has on or holds.
        may_wear: what a person has on or holds and another object may hide.
        does: what a person does, or None.
    """

    texture: str | None
    wears: tuple[str, ...]
    may_wear: tuple[str, ...]
    does: str | None


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that a phrase may mention.

    Attributes:
        kind: the kind of attribute.
        value: a word for it: a colour, pattern, size, place or relation, what is worn or done; for an order, the rank
            and the side from which it counts, such as "2 left".
        anchor: the other object of a relation; None for other kinds.
    """

    kind: Kind
    value: str
    anchor: Item | None = None

    def holds(self, item: Item, *, lenient: bool = False) -> bool:
        """Return whether an object other than the referent has the attribute; an order is only the referent's.

        Args:
            item: the object.
            lenient: whether to ask if a viewer might say so.
        """
        if self.kind == "order":
            return False
        if self.kind == "texture":
            return item.texture == self.value or (lenient and item.texture is None)
        if self.kind == "clothes":
            return self.value in item.wears or (
                lenient and not _RESEMBLES[self.value].isdisjoint((*item.wears, *item.may_wear))
            )
        if self.kind == "action":
            return item.does == self.value or (lenient and (self.value, item.does) in _MISTAKABLE)
        if self.kind == "size":
            slack = _SIZE_SLACK if lenient else 0.0
            return item.extent >= _BIG - slack if self.value == "big" else item.extent <= _SMALL + slack
        return self._holds_as_first(item, first.SLACK if lenient else 0.0)

    def _holds_as_first(self, item: Item, slack: float) -> bool:
        """Return whether an object has a colour, place or relation, for which version 1's rules hold but for two."""
        if self.kind == "place" and self.value in CORNERS:
            return all(first.Attribute("place", side).holds(item, slack=slack) for side in self.value.split())
        if self.value == "next to":
            assert self.anchor is not None, "a relation has an anchor"
            (x, y), (anchor_x, anchor_y) = item.center, self.anchor.center
            return bool(((x - anchor_x) ** 2 + (y - anchor_y) ** 2) ** 0.5 <= _NEXT_TO + slack)
        assert self.kind in ("color", "place", "relation"), "the other kinds have rules of their own"
        return first.Attribute(self.kind, self.value, self.anchor).holds(item, slack=slack)


CORNERS = ("top left", "top right", "bottom left", "bottom right")
_BIG, _SMALL, _SIZE_SLACK = 0.33, 0.21, 0.06  # of `Item.extent`; objects are smaller than version 1's
_NEXT_TO = 0.25  # largest distance between the centres, in fractions of the image
_ORDER_GAP = 0.05  # least distance between the referent's x and any other of its category
_ORDER_SPREAD = 0.25  # most distance between their y: orders are said of objects side by side
_LAST_RANK = 4

# What a person has on or holds, in groups whose members a viewer might confuse.
_LOOK_ALIKE = (
    ("hat", "cap", "helmet", "beret", "graduation cap", "crown", "turban", "headscarf", "veil"),
    ("glasses", "mask"),
    ("pitchfork", "staff", "brush", "sword", "wrench", "microphone", "gavel", "hose", "magnifying glass"),
    ("scarf", "cape"),
    ("beard",),
    ("flask",),
    ("suit",),
)
_RESEMBLES = {thing: frozenset(group) for group in _LOOK_ALIKE for thing in group}
# What is done, and what a person does, of whom a viewer might say it. Somebody who only faces the viewer may be called
# standing.
_MISTAKABLE = {
    ("standing", None),
    ("standing", "walking"),
    ("standing", "waving"),
    ("standing", "shrugging"),
    ("standing", "covering the face"),
    ("standing", "holding up both arms"),
    ("standing", "surfing"),
    ("walking", "standing"),
    ("walking", "running"),
    ("running", "walking"),
    ("running", "dancing"),
    ("dancing", "running"),
    ("dancing", "holding up both arms"),
    ("kneeling", "meditating"),
    ("waving", "holding up both arms"),
    ("holding up both arms", "waving"),
    ("surfing", "swimming"),
}


def attributes_of(item: Item, others: Sequence[Item]) -> list[Attribute]:
    """Return all attributes that an item has in the strict reading.

    Args:
        item: the object.
        others: the other objects of its image. An object is an anchor of relations if it is the only one of its
            category in the image.
    """
    true = [] if item.color is None else [Attribute("color", item.color)]
    true += [Attribute("texture", item.texture)] if item.texture in TEXTURES else []
    true += [Attribute("size", value) for value in ("big", "small")]
    true += [Attribute("place", value) for value in (*first.PLACES, *CORNERS)]
    true += [Attribute("clothes", value) for value in item.wears]
    true += [] if item.does is None else [Attribute("action", item.does)]
    categories = [item.category, *(other.category for other in others)]
    anchors = [other for other in others if categories.count(other.category) == 1]
    true += [Attribute("relation", value, anchor) for anchor in anchors for value in first.RELATIONS]
    return [attribute for attribute in true if attribute.holds(item)] + orders_of(item, others)


def orders_of(item: Item, others: Sequence[Item]) -> list[Attribute]:
    """Return an item's ranks from the left and the right among the objects of its category, if they are clear.

    A rank is clear if the objects are side by side and no other has nearly the same x. Only the nearer side counts, and
    from the second place on there is an object beyond.
    """
    centers = [other.center for other in others if other.category == item.category]
    x, y = item.center
    xs = [other_x for other_x, _ in centers]
    if not xs or any(abs(x - ox) < _ORDER_GAP or abs(y - oy) > _ORDER_SPREAD for ox, oy in centers):
        return []
    ranks = {"left": 1 + sum(other < x for other in xs), "right": 1 + sum(other > x for other in xs)}
    nearer = min(ranks.values())
    count = len(xs) + 1
    return [
        Attribute("order", f"{rank} {side}")
        for side, rank in ranks.items()
        if rank == nearer <= _LAST_RANK and (rank == 1 or rank < count)
    ]


def before(order: Attribute, item: Item, peers: Sequence[Item]) -> list[Item]:
    """Return the objects that a rank counts before it reaches the item."""
    x = item.center[0]
    left = order.value.endswith("left")
    return [peer for peer in peers if (peer.center[0] < x) == left]
