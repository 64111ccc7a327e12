"""Colour words from the store's column `colour`: statistics of the photo's pixels under a candidate's mask.

The column's first 14 numbers are square roots of shares of the pixels: of 11 hues (red is in the middle of the first
one), dark, grey and bright. The next three are the mean of red, green and blue. Dark, grey and bright pixels add nearly
equal amounts to the three means, so the hue of the mean is that of the coloured pixels, and their value and saturation
follow once the share of the others is taken away.
"""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.colour import HUES

_NEUTRAL = np.array([0.08, 0.5, 0.9])  # the usual value of a dark, a grey and a bright pixel
_COLOURED = 0.3  # an object has a colour if this share of its pixels has a hue
_ONE_COLOUR = 0.75  # and if this share of them is in three neighbouring bins
_UNCOLOURED = 0.15  # an object is black, gray or white if at most this share has a hue
_WORN = 0.25  # a person wears a colour if this share of the pixels has it
_SKIN = (0, 1)  # the bins of skin and most hair
# Upper ends of the hues in degrees. Pink begins again as red.
_NAMES = ((14, "red"), (42, "orange"), (68, "yellow"), (165, "green"), (255, "blue"), (298, "purple"), (345, "pink"))
MARGIN = 5
"""Degrees around the boundary of two hues where people would disagree."""
_BROWN = 0.62  # an orange below this value is called brown
_PALE_RED = 0.5  # a red below this saturation, and of high value, is called pink


def colour_words(statistics: NDArray[np.floating], *, person: bool = False, margin: float = MARGIN) -> frozenset[str]:
    """Return the words that people might use for an object's colour.

    Args:
        statistics: (17,), the object's row of the column `colour`.
        person: whether the object is a person, whose colour is that of the clothes: hues of skin do not count.
        margin: degrees around the boundary of two hues where both have a word; 0 for the word of the hue itself alone.

    Returns:
        One of `aligncat.language.colours.COLOURS` if the colour is clear, two if it is between them, none if there is
        no main colour.
    """
    numbers = np.asarray(statistics, np.float64)
    shares, means = numbers[: HUES + 3] ** 2, numbers[HUES + 3 :]
    hues, neutral = shares[:HUES].copy(), shares[HUES:]
    if person:
        return _worn(hues)
    coloured = hues.sum()
    if coloured <= _UNCOLOURED:
        return _uncoloured(neutral)
    best = int(hues.argmax())
    together = hues[[(best - 1) % HUES, best, (best + 1) % HUES]].sum()
    if coloured < _COLOURED or together < _ONE_COLOUR * coloured:
        return frozenset()
    red, green, blue = np.clip((means - neutral @ _NEUTRAL) / coloured, 0, 1)
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    around = {_name((360 * hue + offset) % 360, saturation, value) for offset in (-margin, 0, margin)}
    return frozenset(around)


def _worn(hues: NDArray[np.float64]) -> frozenset[str]:
    """Return the colour of a person's clothes: that of the only large share of pixels without the hues of skin."""
    hues[list(_SKIN)] = 0
    best = int(hues.argmax())
    together = hues[[(best - 1) % HUES, best, (best + 1) % HUES]].sum()
    if together < _WORN or together < _ONE_COLOUR * hues.sum():
        return frozenset()
    return frozenset((_hue_name(360 / HUES * best),))


def _uncoloured(neutral: NDArray[np.float64]) -> frozenset[str]:
    dark, grey, bright = neutral
    names = (("black", dark), ("gray", grey), ("white", bright))
    return frozenset(name for name, share in names if share >= 0.55) or frozenset(
        name for name, share in names if share >= 0.3
    )


def _name(degrees: float, saturation: float, value: float) -> str:
    name = _hue_name(degrees)
    if name == "orange" and value < _BROWN:
        return "brown"
    if name == "red" and saturation < _PALE_RED and value > 0.7:
        return "pink"
    return name


def _hue_name(degrees: float) -> str:
    return next((name for end, name in _NAMES if degrees < end), "red")
