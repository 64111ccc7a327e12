"""Painting of a drawing: a tint, and a pattern in a second shade on the tinted parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aligncat.mojiref.raster import TINTS, Raster, dominant_color, edge_of, on_edge, render, replace_fills, svg_text
from aligncat.mojiref.version2.drawing import Drawing

Texture = Literal["striped", "spotted", "checkered"]
TEXTURES: tuple[Texture, ...] = ("striped", "spotted", "checkered")

# The second shade of a pattern. It never has a hue, so that the tint stays the object's colour.
_SHADES = {"white": (245, 245, 245), "black": (38, 38, 42)}
_SHADES_OF = {  # the shades that stand out from a tint
    **dict.fromkeys(("red", "green", "blue"), ("white", "black")),
    **dict.fromkeys(("purple", "brown"), ("white",)),
    **dict.fromkeys(("orange", "yellow", "pink"), ("black",)),
}
# Period of a pattern over the object's longer side, and its minimum in pixels of the scene. At the mini detector's
# input, a scene has three fifths to three quarters of its size, so a period keeps at least 6 pixels there.
_PERIOD = (0.17, 0.24)
_MIN_PERIOD = 10.0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern on the tinted parts of a drawing.

    Attributes:
        texture: its kind.
        shade: its second shade, "white" or "black".
        period: its period over the object's longer side.
        angle: the direction in which it repeats, radians.
    """

    texture: Texture
    shade: str
    period: float
    angle: float


def draw_pattern(rng: np.random.Generator, tint: str) -> Pattern:
    """Draw a random pattern for a tint."""
    texture = TEXTURES[rng.integers(len(TEXTURES))]
    shades = _SHADES_OF[tint]
    return Pattern(texture, shades[rng.integers(len(shades))], rng.uniform(*_PERIOD), rng.uniform(0, np.pi))


def paint(drawing: Drawing, tint: str | None, skin: str | None, pattern: Pattern | None, *, size: float) -> Raster:
    """Return a painted drawing with its white edge, and the colour word that a viewer would use.

    Args:
        drawing: the drawing.
        tint: a key of TINTS, or None for its own colours.
        skin: an OpenMoji skin tone code, or None.
        pattern: a pattern on the tinted parts; it needs a tint.
        size: the longer side at which the scene shows it, pixels.
    """
    code = drawing.code if skin is None else with_skin(drawing.code, skin)
    rgba = _plain(code, None if tint is None else TINTS[tint])
    color = tint or (_own_color(code) if drawing.color == "auto" else drawing.color)
    if pattern is not None:
        share = _share(rgba.shape[:2], pattern, size)[..., None]
        other = _plain(code, _SHADES[pattern.shade])
        rgba = np.round(rgba * (1 - share) + other * share).astype(np.uint8)
    return Raster(on_edge(rgba, _edge(code)), color)


def with_skin(code: str, skin: str) -> str:
    """Return the hexcode of a drawing in a skin tone."""
    first, *rest = code.split("-")
    if rest[:1] == ["FE0F"]:
        rest = rest[1:]
    return "-".join((first, skin, *rest))


@lru_cache(maxsize=2048)
def _plain(code: str, tint: tuple[int, int, int] | None) -> NDArray[np.uint8]:
    """Return a drawing without its edge."""
    svg = svg_text(code)
    return render(svg if tint is None else replace_fills(svg, tint))


@lru_cache(maxsize=1024)
def _own_color(code: str) -> str | None:
    return dominant_color(_plain(code, None))


@lru_cache(maxsize=1024)
def _edge(code: str) -> NDArray[np.uint8]:
    return edge_of(_plain(code, None))


def _share(shape: tuple[int, ...], pattern: Pattern, size: float) -> NDArray[np.float32]:
    """Return the share of the second shade in each pixel, (H, W) in [0, 1]; it covers about a third to a half."""
    longer = max(shape)
    period = longer * max(pattern.period, _MIN_PERIOD / size)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    across = (np.cos(pattern.angle) * x + np.sin(pattern.angle) * y) / period
    along = (np.cos(pattern.angle) * y - np.sin(pattern.angle) * x) / period
    if pattern.texture == "striped":
        covered = across % 1 < 0.4
    elif pattern.texture == "spotted":
        row = np.floor(across)
        distance = np.hypot(across % 1 - 0.5, (along + 0.5 * (row % 2)) % 1 - 0.5)
        covered = distance < 0.32
    else:
        bands = (across % 1 < 0.5).astype(np.float32) + (along % 1 < 0.5)
        covered = np.where(bands == 2, 1.0, 0.45 * bands)
    share: NDArray[np.float32] = covered.astype(np.float32)
    return share
