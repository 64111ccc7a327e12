"""Composition of a scene from a seed: a background, and objects that may partly hide each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aligncat.mojiref.glyphs import CATEGORIES, SKIN_TONES, Category, Glyph
from aligncat.mojiref.raster import RASTER_SIZE, TINTS, draw

SIDES = (208, 256)  # px; the range of a scene's sides, in steps of 16
SPLITS = ("train", "val", "testA", "testB", "detector")  # "detector" has the mini detector's training scenes

TINT_RATE = 0.65  # share of the tintable objects that are tinted
GROUP_RATE = 0.75  # share of scenes with a deliberate group of one category
# How similar the objects of a group are, as chairs, cups and sheep are in photos, and how often: different drawings of
# the category, one drawing in several tints, or twins, which only differ in place and a slight rotation.
GROUP_LIKENESS = {"category": 0.35, "drawing": 0.3, "twins": 0.35}
# Ranges of an object's longer side over the scene's shorter side (small, medium, large), and how often each occurs.
SCALES = ((0.19, 0.25), (0.28, 0.36), (0.42, 0.54))
SCALE_RATES = (0.3, 0.4, 0.3)
OVERLAP_RATE = 0.4  # share of objects that may hide others at once; the rest do so only if there is no other place
MIN_VISIBLE = 0.6  # minimum share of an object's pixels that stay visible
MIN_WHOLE = 0.9  # minimum share of an object's visible pixels that are in one piece

_FREQUENCIES = np.array([category.frequency for category in CATEGORIES], float)
_FREQUENCIES /= _FREQUENCIES.sum()


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        category: its COCO category.
        glyph: its drawing.
        color: the colour word that a viewer would use, or None.
        mask: (H, W) bool, its visible pixels.
    """

    category: Category
    glyph: Glyph
    color: str | None
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed image.

    Attributes:
        pixels: (H, W, 3) uint8.
        objects: the objects, back to front.
    """

    pixels: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]


def compose(seed: int, split: str, index: int) -> Scene:
    """Compose one scene; the same arguments give the same bytes.

    Args:
        seed: the benchmark's seed.
        split: one of SPLITS. Scenes of different splits are independent.
        index: the scene's index in its split.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    width, height = (int(16 * rng.integers(SIDES[0] // 16, SIDES[1] // 16 + 1)) for _ in range(2))
    canvas = background(rng, width, height)
    owner = np.zeros((height, width), np.int16)  # 1 + index of the object on top
    areas: list[int] = []
    placed: list[tuple[Category, Glyph, str | None]] = []
    for look in _draw_looks(rng):
        raster, color = _draw_object(rng, look, min(width, height))
        spot = _find_place(rng, owner, areas, raster[..., 3] > 127)
        if spot is None:
            continue
        top, left = spot
        window = (slice(top, top + raster.shape[0]), slice(left, left + raster.shape[1]))
        alpha = raster[..., 3:].astype(np.float32) / 255
        canvas[window] = canvas[window] * (1 - alpha) + raster[..., :3] * alpha
        opaque = raster[..., 3] > 127
        owner[window][opaque] = len(placed) + 1
        areas.append(int(opaque.sum()))
        placed.append((look.category, look.glyph, color))
    pixels = np.clip(canvas, 0, 255).astype(np.uint8)
    objects = (SceneObject(*what, mask=owner == number) for number, what in enumerate(placed, 1))
    return Scene(pixels, tuple(objects))


@dataclass(frozen=True, slots=True)
class _Look:
    """An object's appearance before it is placed.

    Attributes:
        category: its COCO category.
        glyph: its drawing.
        tint: a key of TINTS, or None for the drawing's own colours.
        skin: an OpenMoji skin tone code, or None.
        scale: ratio of its longer side to the scene's shorter side.
        mirrored: whether it is flipped horizontally.
    """

    category: Category
    glyph: Glyph
    tint: str | None
    skin: str | None
    scale: float
    mirrored: bool


def _draw_looks(rng: np.random.Generator) -> list[_Look]:
    """Draw the looks of three to seven objects, often with a group of one category, in random depth order."""
    count = int(rng.integers(3, 8))
    numbers = rng.choice(len(CATEGORIES), size=count, p=_FREQUENCIES)
    looks = [_draw_look(rng, CATEGORIES[number]) for number in numbers]
    if rng.random() < GROUP_RATE:
        group = min(int(rng.choice([2, 3, 4], p=[0.5, 0.35, 0.15])), count)
        likeness = str(rng.choice(list(GROUP_LIKENESS), p=list(GROUP_LIKENESS.values())))
        looks[1:group] = [_draw_alike(rng, looks[0], likeness) for _ in range(group - 1)]
    return [looks[number] for number in rng.permutation(count)]


def _draw_look(rng: np.random.Generator, category: Category, glyph: Glyph | None = None) -> _Look:
    """Draw a random look for an object of a category; the drawing may be given."""
    glyph = glyph or category.glyphs[rng.integers(len(category.glyphs))]
    tint = str(rng.choice(list(TINTS))) if glyph.tint and rng.random() < TINT_RATE else None
    skin = str(rng.choice(SKIN_TONES)) if glyph.skin else None
    low, high = SCALES[rng.choice(len(SCALES), p=SCALE_RATES)]
    return _Look(category, glyph, tint, skin, scale=rng.uniform(low, high), mirrored=bool(rng.random() < 0.5))


def _draw_alike(rng: np.random.Generator, look: _Look, likeness: str) -> _Look:
    """Draw the look of another object of the same category, with a likeness of GROUP_LIKENESS."""
    if likeness == "twins":
        return look
    if likeness == "drawing":
        return replace(_draw_look(rng, look.category, look.glyph), skin=look.skin, scale=look.scale)
    return _draw_look(rng, look.category)


def _draw_object(rng: np.random.Generator, look: _Look, side: int) -> tuple[NDArray[np.uint8], str | None]:
    """Render a look with a small random rotation and brightness; return RGBA pixels and the colour word."""
    raster = draw(look.glyph.code, look.tint, look.skin)
    scale = look.scale * side / RASTER_SIZE
    image = Image.fromarray(raster.rgba)
    if look.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    size = (max(4, round(image.width * scale)), max(4, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, expand=True)
    light = rng.uniform(0.9, 1.08)
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] *= light
    return np.clip(pixels, 0, 255).astype(np.uint8), raster.color


def _find_place(
    rng: np.random.Generator, owner: NDArray[np.int16], areas: list[int], opaque: NDArray[np.bool_]
) -> tuple[int, int] | None:
    """Return a random place (top, left) that leaves every earlier object visible enough and whole, or None."""
    height, width = opaque.shape
    if height > owner.shape[0] or width > owner.shape[1]:
        return None
    total = np.array([0, *areas])
    visible = np.bincount(owner.ravel(), minlength=len(total))[: len(total)]
    tries = 12
    least_visible = [MIN_VISIBLE if rng.random() < OVERLAP_RATE else 1.0] * tries + [MIN_VISIBLE] * tries
    for least in least_visible:
        top = int(rng.integers(owner.shape[0] - height + 1))
        left = int(rng.integers(owner.shape[1] - width + 1))
        under = owner[top : top + height, left : left + width][opaque]
        hidden = np.bincount(under, minlength=len(total))
        remains = visible - hidden
        if (remains[1:] < least * visible[1:]).any() or (remains[1:] < MIN_VISIBLE * total[1:]).any():
            continue
        left_over = owner.copy()
        left_over[top : top + height, left : left + width][opaque] = 0
        if all(is_whole(left_over == number) for number in range(1, len(total)) if hidden[number]):
            return top, left
    return None


def is_whole(mask: NDArray[np.bool_]) -> bool:
    """Return whether nearly all of an object is one piece, as in most photos."""
    from scipy import ndimage  # here, so that help is quick

    pieces, _ = ndimage.label(mask, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    return bool(sizes.max() >= MIN_WHOLE * sizes.sum())


def background(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Return a background in muted colours with some grain: a gradient, stripes, dots, a landscape or a room."""
    kind = rng.choice(["slope", "stripes", "dots", "land", "room"], p=[0.3, 0.15, 0.15, 0.25, 0.15])
    first, second = (muted(rng) for _ in range(2))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if kind == "slope":
        angle = rng.uniform(0, 2 * np.pi)
        share = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5) + 0.5
    elif kind == "stripes":
        angle, period = rng.uniform(0, np.pi), rng.uniform(24, 60)
        share = 0.35 * ((np.cos(angle) * x + np.sin(angle) * y) / period % 1 < 0.5)
    elif kind == "dots":
        period = rng.uniform(22, 40)
        share = 0.45 * (np.hypot(x % period - period / 2, y % period - period / 2) < 0.22 * period)
    elif kind == "land":
        horizon = height * rng.uniform(0.4, 0.7) + rng.uniform(2, 12) * np.sin(x / width * rng.uniform(2, 9))
        first, second = _sky(rng), muted(rng, hue=rng.uniform(0.15, 0.4))
        share = (y > horizon) * (0.8 + 0.2 * y / height)
    else:
        edge = height * rng.uniform(0.55, 0.75)
        share = (y > edge) * (0.7 + 0.3 * ((x + 0.6 * (y - edge)) / 34 % 1 < 0.93))
    share = np.clip(share, 0, 1)[..., None]
    grain = rng.normal(0, 2.0, (height, width, 1))
    ground: NDArray[np.float32] = (first * (1 - share) + second * share + grain).astype(np.float32)
    return ground


def muted(rng: np.random.Generator, hue: float | None = None) -> NDArray[np.float64]:
    """Return a random light and muted colour, (3,) in [0, 255]; the hue in [0, 1) may be given."""
    hue = rng.uniform() if hue is None else hue
    saturation, value = rng.uniform(0.05, 0.35), rng.uniform(0.62, 0.97)
    wheel = np.clip(np.abs((hue * 6 + np.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)
    color: NDArray[np.float64] = 255 * value * (1 - saturation + saturation * wheel)
    return color


def _sky(rng: np.random.Generator) -> NDArray[np.float64]:
    return muted(rng, hue=rng.uniform(0.5, 0.62))
