"""The drawings of version 2 by category: what each is called, and what it shows."""

from __future__ import annotations

from dataclasses import dataclass

from aligncat.mojiref.glyphs import CATEGORIES as FIRST_CATEGORIES
from aligncat.mojiref.version2.animals import ANIMALS
from aligncat.mojiref.version2.drawing import Drawing
from aligncat.mojiref.version2.people import PEOPLE
from aligncat.mojiref.version2.things import THINGS


@dataclass(frozen=True, slots=True)
class Category:
    """A COCO category with its drawings in version 2.

    Attributes:
        id: COCO's category id (1 to 90).
        name: COCO's name.
        group: "person", "animal" or "thing"; testA refers to the first two, testB to the last.
        frequency: number of instances in COCO train2017.
        drawings: its drawings.
    """

    id: int
    name: str
    group: str
    frequency: int
    drawings: tuple[Drawing, ...]


_DRAWINGS = {"person": PEOPLE, **ANIMALS, **THINGS}
CATEGORIES = tuple(Category(c.id, c.name, c.group, c.frequency, _DRAWINGS[c.name]) for c in FIRST_CATEGORIES)
"""Version 1's categories in version 1's order, which is the order of the mini detectors' classes."""

# Drawings of no COCO category. They clutter the scenes; they are not annotated, and no phrase
# mentions them.
CLUTTER: tuple[str, ...] = (
    *("1F3E0", "1F5FB", "1F4E6", "1F381", "2B50", "1F3B8", "1F941", "1F511", "1F4A1", "1F6A9", "2693", "1F41A"),
    *("1F344", "1F525", "1F3C6", "1F3AF", "1FA9C", "1F6D2", "1F58C", "1F512", "1F514", "1F4E3", "1F526", "1F6A7"),
    *("1F9F2", "1F9ED", "1F6DE", "1FAB5", "1F3B2", "1F6E2", "1FAA3", "1F9F9", "1F56F", "1F4EB", "26FA", "1F3AA"),
    *("2744", "1F308", "2601", "2600", "1F319", "1FAA8", "1F98B", "1F41E", "1F422", "1F438", "1F420", "1F419"),
    *("1F980", "1F40C", "1F994", "1F98E"),
)
