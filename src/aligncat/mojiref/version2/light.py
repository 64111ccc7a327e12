"""Light of a scene: a cast over all colours, and a gradient of brightness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Gains of red, green and blue at full strength.
CASTS: dict[str, tuple[float, float, float]] = {
    "warm": (1.04, 0.90, 0.68),
    "cool": (0.74, 0.90, 1.04),
    "green": (0.82, 1.00, 0.76),
    "purple": (0.95, 0.78, 1.00),
    "dim": (0.62, 0.62, 0.66),
}
CAST_RATE = 0.6  # share of scenes with a cast
GRADIENT_RATE = 0.6  # share of scenes with a gradient: half from one side, half around a lamp
_STRENGTH = (0.4, 1.0)
_DARKEST = (0.5, 0.75)  # brightness at the dark end of a gradient
_BRIGHTEST = 1.12
_GRAIN = (0.0, 5.0)  # standard deviation of the camera's noise, of 255


@dataclass(frozen=True, slots=True)
class Light:
    """The light of a scene.

    Attributes:
        cast: a key of CASTS, or "none".
        gradient: "slope", "lamp" or "none".
    """

    cast: str
    gradient: str


def light_up(rng: np.random.Generator, canvas: NDArray[np.float32]) -> tuple[NDArray[np.float32], Light]:
    """Return a scene's pixels in a random light, (H, W, 3) in [0, 255], and the light."""
    height, width = canvas.shape[:2]
    cast = gradient = "none"
    gain = np.ones((height, width, 3), np.float32)
    if rng.random() < CAST_RATE:
        cast = list(CASTS)[rng.integers(len(CASTS))]
        gain *= (1 + rng.uniform(*_STRENGTH) * (np.array(CASTS[cast]) - 1)).astype(np.float32)
    if rng.random() < GRADIENT_RATE:
        gradient = ("slope", "lamp")[rng.integers(2)]
        gain *= _gradient(rng, gradient, height, width)[..., None]
    lit = canvas * gain + np.float32(rng.uniform(*_GRAIN)) * rng.standard_normal(canvas.shape, np.float32)
    return np.clip(lit, 0, 255), Light(cast, gradient)


def _gradient(rng: np.random.Generator, kind: str, height: int, width: int) -> NDArray[np.float32]:
    """Return the brightness of each pixel, (H, W)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = x / width, y / height
    if kind == "slope":
        angle = rng.uniform(0, 2 * np.pi)
        away = 0.5 + (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) / 1.4
    else:
        at_x, at_y = rng.uniform(0.1, 0.9, 2)
        away = np.clip(np.hypot(x - at_x, y - at_y), 0, 1)
    darkest = rng.uniform(*_DARKEST)
    brightness: NDArray[np.float32] = _BRIGHTEST + np.float32(darkest - _BRIGHTEST) * away
    return brightness
