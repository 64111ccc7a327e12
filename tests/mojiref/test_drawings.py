"""A tinted glyph has the tint's colour, and its skin and outlines are unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aligncat.mojiref.glyphs import CATEGORIES, SKIN_TONES
from aligncat.mojiref.raster import TINTS, draw

CAR, MAN = "1F697", "1F468"
# OpenMoji's palette of skin: https://openmoji.org/styleguide/
SKIN = {
    "1F3FB": (0xFA, 0xDC, 0xBC),
    "1F3FC": (0xDE, 0xBB, 0x90),
    "1F3FD": (0xC1, 0x9A, 0x65),
    "1F3FE": (0xA5, 0x79, 0x39),
    "1F3FF": (0x6A, 0x46, 0x2F),
}


def nearest_tints(rgba: NDArray[np.uint8]) -> NDArray[np.str_]:
    """Return, for each vivid opaque pixel, the tint that is nearest in hue, then in lightness."""
    opaque = rgba[rgba[..., 3] > 250][:, :3]
    hsv = np.asarray(Image.fromarray(opaque[None]).convert("HSV"))[0].astype(float)
    vivid = hsv[(hsv[:, 1] > 80) & (hsv[:, 2] > 80)]
    names = np.array(list(TINTS))
    shades = np.asarray(Image.fromarray(np.array([list(TINTS.values())], np.uint8)).convert("HSV"))[0].astype(float)
    hue = np.abs(vivid[:, None, 0] - shades[None, :, 0])
    distance = np.minimum(hue, 256 - hue) * 4 + np.abs(vivid[:, None, 1:] - shades[None, :, 1:]).sum(axis=-1)
    return names[distance.argmin(axis=1)]


def is_color(rgba: NDArray[np.uint8], color: tuple[int, int, int]) -> NDArray[np.bool_]:
    near = np.abs(rgba[..., :3].astype(int) - color).max(axis=-1) <= 6
    found: NDArray[np.bool_] = near & (rgba[..., 3] > 250)
    return found


@pytest.mark.parametrize("tint", TINTS)
def test_a_tinted_car_has_the_tints_colour(tint: str) -> None:
    drawing = draw(CAR, tint)
    assert drawing.color == tint
    names = nearest_tints(drawing.rgba)
    assert (names == tint).mean() > 0.6
    assert len(names) > 0.25 * (drawing.rgba[..., 3] > 250).sum(), "most of the car has no vivid colour"


@pytest.mark.parametrize("tint", TINTS)
@pytest.mark.parametrize("skin", SKIN_TONES)
def test_a_tinted_man_keeps_his_skin_colour(skin: str, tint: str) -> None:
    own, tinted = draw(MAN, None, skin).rgba, draw(MAN, tint, skin).rgba
    skin_pixels = is_color(own, SKIN[skin])
    assert skin_pixels.mean() > 0.08
    assert (skin_pixels == is_color(tinted, SKIN[skin])).mean() > 0.999
    assert (own[..., 3] == tinted[..., 3]).all()
    shirt = (own != tinted).any(axis=-1)
    assert shirt.mean() > 0.05 and not (shirt & skin_pixels).any()


def test_skin_is_never_a_persons_colour() -> None:
    people = next(category for category in CATEGORIES if category.name == "person")
    for glyph in people.glyphs:
        for skin in SKIN_TONES if glyph.skin else [None]:
            assert draw(glyph.code, None, skin).color is None


@pytest.mark.parametrize(
    ("name", "colors"),
    [
        ("stop sign", {"red"}),
        ("elephant", {"gray"}),
        ("zebra", {"white"}),
        ("broccoli", {"green"}),
        ("bear", {"brown"}),
    ],
)
def test_natural_colours_have_the_usual_names(name: str, colors: set[str | None]) -> None:
    category = next(category for category in CATEGORIES if category.name == name)
    assert {draw(glyph.code, None).color for glyph in category.glyphs} == colors
