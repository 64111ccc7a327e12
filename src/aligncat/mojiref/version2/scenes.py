"""Composition of a scene of version 2 from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aligncat.mojiref.raster import RASTER_SIZE
from aligncat.mojiref.scenes import MIN_VISIBLE, OVERLAP_RATE, SPLITS, is_whole
from aligncat.mojiref.version2.backgrounds import background
from aligncat.mojiref.version2.drawing import Drawing
from aligncat.mojiref.version2.drawings import Category
from aligncat.mojiref.version2.light import Light, light_up
from aligncat.mojiref.version2.looks import Look, draw_looks
from aligncat.mojiref.version2.paint import paint

VERSION = 2
SIDES = (256, 320)  # px; the range of a scene's sides, in steps of 16
THIN = 0.55  # drawings whose sides have a smaller ratio are drawn larger by _THIN_FACTOR
_THIN_FACTOR = 1.25
_ROW_SPREAD = 0.04  # how far the objects of a row are from its height, in shares of the scene's height
_TRIES = 12
# Of a person of whom less than this share is visible, the clothes may be hidden: what they are is not certain.
CLOTHES_VISIBLE = 0.85


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        category: its COCO category.
        drawing: its drawing.
        color: the colour word that a viewer would use, or None.
        texture: "plain" or a pattern's name, or None if a viewer could call it something else.
        wears: what a person visibly has on or holds.
        may_wear: what a person has on or holds and another object may hide.
        mask: (H, W) bool, its visible pixels.
    """

    category: Category
    drawing: Drawing
    color: str | None
    texture: str | None
    wears: tuple[str, ...]
    may_wear: tuple[str, ...]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scene:
    """A composed image.

    Attributes:
        pixels: (H, W, 3) uint8.
        objects: the objects, back to front.
        light: its light.
        distractors: the number of drawings that are not annotated.
    """

    pixels: NDArray[np.uint8]
    objects: tuple[SceneObject, ...]
    light: Light
    distractors: int


def seed_sequence(seed: int, split: str, index: int, stream: int = 0) -> list[int]:
    """Return the entropy of a scene's generators; it is longer than version 1's, so that no two streams are equal.

    Args:
        seed: the benchmark's seed.
        split: one of SPLITS.
        index: the scene's index in its split.
        stream: 0 for the picture, and 1 and more for the flavours' phrases.
    """
    return [seed, SPLITS.index(split), index, stream, VERSION]


def compose(seed: int, split: str, index: int) -> Scene:
    """Compose one scene; the same arguments give the same bytes.

    Args:
        seed: the benchmark's seed.
        split: one of SPLITS. Scenes of different splits are independent.
        index: the scene's index in its split.
    """
    rng = np.random.default_rng(seed_sequence(seed, split, index))
    width, height = (int(16 * rng.integers(SIDES[0] // 16, SIDES[1] // 16 + 1)) for _ in range(2))
    canvas = background(rng, width, height)
    owner = np.zeros((height, width), np.int16)  # 1 + index of the drawing on top
    areas: list[int] = []
    placed: list[tuple[Look, str | None]] = []
    for look in draw_looks(rng):
        raster, color = _draw_object(rng, look, min(width, height))
        opaque = raster[..., 3] > 127
        spot = _find_place(rng, owner, areas, opaque, look.row)
        if spot is None:
            continue
        top, left = spot
        window = (slice(top, top + raster.shape[0]), slice(left, left + raster.shape[1]))
        alpha = raster[..., 3:].astype(np.float32) / 255
        canvas[window] = canvas[window] * (1 - alpha) + raster[..., :3] * alpha
        owner[window][opaque] = len(placed) + 1
        areas.append(int(opaque.sum()))
        placed.append((look, color))
    lit, light = light_up(rng, canvas)
    objects = tuple(
        _scene_object(look, look.category, color, owner == number, areas[number - 1])
        for number, (look, color) in enumerate(placed, 1)
        if look.category is not None
    )
    return Scene(lit.astype(np.uint8), objects, light, len(placed) - len(objects))


def _scene_object(look: Look, category: Category, color: str | None, mask: NDArray[np.bool_], area: int) -> SceneObject:
    """Return an object as it is annotated.

    Args:
        look: its look.
        category: its category.
        color: the colour word of its drawing.
        mask: (H, W), its visible pixels.
        area: the number of its pixels, with those that others hide.
    """
    texture = look.drawing.texture if look.pattern is None else look.pattern.texture
    wears = look.drawing.wears
    if category.group == "person" and mask.sum() < CLOTHES_VISIBLE * area:
        return SceneObject(category, look.drawing, None, None, (), wears, mask)
    return SceneObject(category, look.drawing, color, texture, wears, (), mask)


def _draw_object(rng: np.random.Generator, look: Look, side: int) -> tuple[NDArray[np.uint8], str | None]:
    """Render a look with a small random rotation and brightness; return RGBA pixels and the colour word."""
    raster = paint(look.drawing, look.tint, look.skin, look.pattern, size=look.scale * side)
    height, width = raster.rgba.shape[:2]
    thin = _THIN_FACTOR if min(height, width) < THIN * max(height, width) else 1.0
    scale = min(1.0, thin * look.scale * side / RASTER_SIZE)
    image = Image.fromarray(raster.rgba)
    if look.mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    size = (max(4, round(width * scale)), max(4, round(height * scale)))
    image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    image = image.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR, expand=True)
    pixels = np.asarray(image).astype(np.float32)
    pixels[..., :3] *= rng.uniform(0.9, 1.08)
    return np.clip(pixels, 0, 255).astype(np.uint8), raster.color


def _find_place(
    rng: np.random.Generator, owner: NDArray[np.int16], areas: list[int], opaque: NDArray[np.bool_], row: float | None
) -> tuple[int, int] | None:
    """Return a random place (top, left) that leaves every earlier drawing visible enough and whole, or None."""
    height, width = opaque.shape
    if height > owner.shape[0] or width > owner.shape[1]:
        return None
    total = np.array([0, *areas])
    visible = np.bincount(owner.ravel(), minlength=len(total))[: len(total)]
    least_visible = [MIN_VISIBLE if rng.random() < OVERLAP_RATE else 1.0] * _TRIES + [MIN_VISIBLE] * _TRIES
    for least in least_visible:
        top = _top(rng, owner.shape[0], height, row)
        left = int(rng.integers(owner.shape[1] - width + 1))
        hidden = np.bincount(owner[top : top + height, left : left + width][opaque], minlength=len(total))
        remains = visible - hidden
        if (remains[1:] < least * visible[1:]).any() or (remains[1:] < MIN_VISIBLE * total[1:]).any():
            continue
        left_over = owner.copy()
        left_over[top : top + height, left : left + width][opaque] = 0
        if all(is_whole(left_over == number) for number in range(1, len(total)) if hidden[number]):
            return top, left
    return None


def _top(rng: np.random.Generator, scene_height: int, height: int, row: float | None) -> int:
    """Return a random upper end of an object, near its row's height if it has one."""
    last = scene_height - height
    if row is None:
        return int(rng.integers(last + 1))
    center = (row + rng.uniform(-_ROW_SPREAD, _ROW_SPREAD)) * scene_height
    return int(np.clip(center - height / 2, 0, last))
