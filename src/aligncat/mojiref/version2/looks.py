"""The looks of a scene's objects before they are placed: groups that resemble each other, single ones, and clutter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aligncat.mojiref.glyphs import SKIN_TONES
from aligncat.mojiref.raster import TINTS
from aligncat.mojiref.version2.drawing import Drawing
from aligncat.mojiref.version2.drawings import CATEGORIES, CLUTTER, Category
from aligncat.mojiref.version2.paint import Pattern, draw_pattern

OBJECTS = (3, 12)  # fewest and most objects of a scene; fewer if there is no room for all
DISTRACTORS = (0, 5)  # fewest and most drawings that are not annotated
TINT_RATE = 0.7  # share of the tintable objects that are tinted
PATTERN_RATE = 0.5  # share of the tinted objects whose drawing has no pattern of its own that get one
GROUP_RATE = 0.85  # share of scenes with a deliberate group of one category
SECOND_GROUP_RATE = 0.4  # share of those, if they have six objects or more, with a second group
ROW_RATE = 0.4  # share of the groups of three or more objects that stand in a row
# How similar the objects of a group are: different drawings of the category, one drawing in several paints, one drawing
# in one colour with several patterns, or twins, which only differ in place and a slight rotation.
LIKENESS = {"category": 0.3, "drawing": 0.25, "pattern": 0.15, "twins": 0.3}
# Ranges of an object's longer side over the scene's shorter side (small, medium, large), and how often each occurs.
SCALES = ((0.15, 0.20), (0.22, 0.28), (0.34, 0.46))
_SCALE_RATES = (0.3, 0.4, 0.3)
_CROWDED_SCALE_RATES = (0.4, 0.5, 0.1)  # in scenes of eight objects or more

_FREQUENCIES = np.array([category.frequency for category in CATEGORIES], float)
_FREQUENCIES /= _FREQUENCIES.sum()
_WEIGHTS = {
    category.name: np.array([drawing.weight for drawing in category.drawings])
    / sum(drawing.weight for drawing in category.drawings)
    for category in CATEGORIES
}


@dataclass(frozen=True, slots=True)
class Look:
    """An object's appearance before it is placed.

    Attributes:
        category: its category; None for clutter.
        drawing: its drawing.
        tint: a key of TINTS, or None for the drawing's own colours.
        pattern: its pattern, or None.
        skin: an OpenMoji skin tone code, or None.
        scale: ratio of its longer side to the scene's shorter side.
        mirrored: whether it is flipped horizontally.
        row: the height of its group's row, in shares of the scene's height; None if it can stand anywhere.
    """

    category: Category | None
    drawing: Drawing
    tint: str | None
    pattern: Pattern | None
    skin: str | None
    scale: float
    mirrored: bool
    row: float | None = None


def draw_looks(rng: np.random.Generator) -> list[Look]:
    """Draw the looks of a scene's objects and clutter, in random depth order."""
    count = int(rng.integers(OBJECTS[0], OBJECTS[1] + 1))
    rates = _SCALE_RATES if count < 8 else _CROWDED_SCALE_RATES
    numbers = rng.choice(len(CATEGORIES), size=count, p=_FREQUENCIES)
    looks = [_draw_look(rng, CATEGORIES[number], rates) for number in numbers]
    if rng.random() < GROUP_RATE:
        first = _group(rng, looks, 0, rates)
        if count >= 6 and rng.random() < SECOND_GROUP_RATE:
            _group(rng, looks, first, rates)
    looks += [_draw_clutter(rng) for _ in range(rng.integers(DISTRACTORS[0], DISTRACTORS[1] + 1))]
    return [looks[number] for number in rng.permutation(len(looks))]


def _group(rng: np.random.Generator, looks: list[Look], start: int, rates: tuple[float, ...]) -> int:
    """Make a group of the looks from a place on, and return the place after it."""
    size = min(int(rng.choice([2, 3, 4, 5], p=[0.35, 0.3, 0.2, 0.15])), len(looks) - start)
    likeness = str(rng.choice(list(LIKENESS), p=list(LIKENESS.values())))
    model = looks[start]
    if likeness == "pattern" and model.drawing.tint and model.drawing.texture == "plain":
        model = replace(model, tint=model.tint or _draw_tint(rng))
    group = [model, *(_draw_alike(rng, model, likeness, rates) for _ in range(size - 1))]
    if size >= 3 and rng.random() < ROW_RATE:
        height = rng.uniform(0.25, 0.75)
        scale = min(model.scale, SCALES[1][1])
        group = [replace(look, row=height, scale=scale) for look in group]
    looks[start : start + size] = group
    return start + size


def _draw_look(
    rng: np.random.Generator, category: Category, rates: tuple[float, ...], drawing: Drawing | None = None
) -> Look:
    """Draw a random look for an object of a category; the drawing may be given."""
    drawing = drawing or category.drawings[rng.choice(len(category.drawings), p=_WEIGHTS[category.name])]
    tint = _draw_tint(rng) if drawing.tint and rng.random() < TINT_RATE else None
    skin = str(rng.choice(SKIN_TONES)) if drawing.skin else None
    low, high = SCALES[rng.choice(len(SCALES), p=rates)]
    scale, mirrored = rng.uniform(low, high), bool(rng.random() < 0.5)
    return Look(category, drawing, tint, _draw_pattern(rng, drawing, tint), skin, scale, mirrored)


def _draw_tint(rng: np.random.Generator) -> str:
    return str(rng.choice(list(TINTS)))


def _draw_pattern(rng: np.random.Generator, drawing: Drawing, tint: str | None) -> Pattern | None:
    if tint is None or drawing.texture != "plain" or rng.random() >= PATTERN_RATE:
        return None
    return draw_pattern(rng, tint)


def _draw_alike(rng: np.random.Generator, look: Look, likeness: str, rates: tuple[float, ...]) -> Look:
    """Draw the look of another object of the same category, with a likeness of LIKENESS."""
    assert look.category is not None, "clutter has no group"
    if likeness == "twins":
        return look
    if likeness == "category":
        return _draw_look(rng, look.category, rates)
    if likeness == "drawing":
        return replace(_draw_look(rng, look.category, rates, look.drawing), skin=look.skin, scale=look.scale)
    return replace(look, pattern=_draw_pattern(rng, look.drawing, look.tint), mirrored=bool(rng.random() < 0.5))


def _draw_clutter(rng: np.random.Generator) -> Look:
    """Draw the look of a drawing that is not annotated."""
    drawing = Drawing(code=CLUTTER[rng.integers(len(CLUTTER))], nouns=())
    tint = _draw_tint(rng) if rng.random() < 0.5 else None
    return Look(None, drawing, tint, None, None, rng.uniform(0.12, 0.26), bool(rng.random() < 0.5))
