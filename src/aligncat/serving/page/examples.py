"""The examples of the page: scenes of MojiRef, drawn when the page is made, each with phrases about it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from aligncat.geometry import largest_component_box
from aligncat.mojiref.attributes import Item
from aligncat.mojiref.grammar import describe
from aligncat.mojiref.scenes import Scene, compose

COUNT = 4
_SPLIT = "val"  # no grounder was trained on these scenes
_SEED = 0
_MOST_PHRASES = 3
CREDIT = "The examples are made of drawings by OpenMoji, the open-source emoji and icon project, CC BY-SA 4.0."


@dataclass(frozen=True, slots=True)
class Example:
    """A picture with phrases.

    Attributes:
        png: the picture's file.
        phrases: phrases that each fit one object of it.
        shows: what is in it, for those who do not see it.
    """

    png: bytes
    phrases: tuple[str, ...]
    shows: str


def examples() -> tuple[Example, ...]:
    """Return the first COUNT scenes of MojiRef's validation split, with the same bytes each time."""
    return tuple(_example(compose(_SEED, _SPLIT, index), index) for index in range(COUNT))


def _example(scene: Scene, index: int) -> Example:
    height, width = scene.pixels.shape[:2]
    items = [
        Item(
            each.category.name,
            tuple(each.glyph.nouns),
            each.color,
            tuple(largest_component_box(each.mask).tolist()),
            (width, height),
        )
        for each in scene.objects
    ]
    rng = np.random.default_rng([_SEED, index])
    found = (describe(rng, "mojiref", item, items[:n] + items[n + 1 :]) for n, item in enumerate(items))
    phrases = dict.fromkeys(each.text for each in found if each is not None)
    Image.fromarray(scene.pixels).save(file := io.BytesIO(), "PNG")
    shows = f"Drawing with {', '.join(dict.fromkeys(item.category for item in items))}"
    return Example(file.getvalue(), tuple(phrases)[:_MOST_PHRASES], shows)
