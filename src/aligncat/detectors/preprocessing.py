"""Convert an image into the square that a detector takes: numpy and PIL only.

There are three modes:

- `letterbox-416`: the image keeps its aspect and is centred on grey in a square of 416 px, or of the detector's own
  size. Shrinking is antialiased.
- `letterbox-416-to-800`: QueryMatch's way. A letterbox of 416 px, shrunk without antialiasing as cv2.resize does, then
  resized to 800 px (its "shortest edge") as detectron2 does.
- `hub-384`: the way of the image processors of the hub's COCO checkpoints. The image is stretched to 384 x 384.

In all three, pixels are then normalised with ImageNet's mean and standard deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aligncat.errors import ConfigError
from aligncat.geometry import PADDING_GREY, Letterbox, letterbox_image
from aligncat.types import JSON

PreprocessingMode = Literal["letterbox-416", "letterbox-416-to-800", "hub-384"]
DEFAULT_MODE: PreprocessingMode = "letterbox-416"

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_LETTERBOX = 416
# The side of the square that the detector takes.
_SIDES: dict[PreprocessingMode, int] = {"letterbox-416": _LETTERBOX, "letterbox-416-to-800": 800, "hub-384": 384}
_FITS: dict[PreprocessingMode, str] = {
    "letterbox-416": "letterbox, centred, bilinear",
    "letterbox-416-to-800": "letterbox to 416, centred, bilinear without antialiasing, then bilinear to 800",
    "hub-384": "squash, bilinear",
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """A preprocessing mode at a size.

    Attributes:
        mode: the mode's name.
        size: side of the square that the detector takes, pixels.
    """

    mode: PreprocessingMode
    size: int

    @classmethod
    def of(cls, mode: PreprocessingMode, image_size: int | None = None, own_size: int | None = None) -> Self:
        """Return a mode at the requested size, or else at the detector's own, or else at the size in its name.

        Args:
            mode: the mode's name.
            image_size: the requested side, pixels.
            own_size: the side that the detector was trained with, pixels.

        Raises:
            ConfigError: there is no such mode, the mode has a fixed size other than `image_size`, or the size is too
                small.
        """
        if mode not in get_args(PreprocessingMode):
            raise ConfigError(f"preprocessing {mode!r} is not known; use one of {', '.join(_SIDES)}")
        side = _SIDES[mode]
        if mode == "letterbox-416":
            side = next((size for size in (image_size, own_size) if size is not None), side)
        elif image_size not in (None, side):
            raise ConfigError(
                f"image_size {image_size}: preprocessing {mode} has {side} px; leave image_size out, or use another"
            )
        if side < 32:
            raise ConfigError(f"image_size {side}: the detector's strides need at least 32 pixels.")
        return cls(mode, side)

    def description(self) -> dict[str, JSON]:
        """Return everything but the size that decides the detector's pixels, as JSON."""
        padding: dict[str, JSON] = {} if self.mode == "hub-384" else {"padding": PADDING_GREY}
        return {"mode": self.mode, "fit": _FITS[self.mode], **padding, "mean": list(_MEAN), "std": list(_STD)}

    def square(self, image: Image.Image) -> tuple[Image.Image, Letterbox]:
        """Convert an RGB image into the (size, size) square that the detector takes.

        Returns:
            The square, and where the image lies in it, in pixels of the letterbox (which `letterbox-416-to-800`
            enlarges as a whole).
        """
        if self.mode == "letterbox-416":
            return letterbox_image(image, self.size)
        if self.mode == "hub-384":
            return squash_image(image, self.size)
        square, place = letterbox_image(image, _LETTERBOX, antialias=False)
        return square.resize((self.size, self.size), Image.Resampling.BILINEAR), place


def squash_image(image: Image.Image, size: int) -> tuple[Image.Image, Letterbox]:
    """Stretch an RGB image to a size × size square (bilinear, antialiased).

    Returns:
        The square, and where the image lies in it: everywhere.
    """
    square = image.resize((size, size), Image.Resampling.BILINEAR)
    return square, Letterbox.squashed(image.width, image.height, size)


def normalize(squares: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Scale RGB images of one size to 0 to 1 and normalise them with ImageNet's mean and standard deviation.

    Returns:
        (B, 3, size, size) float32. The channels are the last axis in memory.
    """
    mean, std = (np.array(values, dtype=np.float32) for values in (_MEAN, _STD))
    pixels = np.stack([np.asarray(square) for square in squares]).astype(np.float32)
    normalised: NDArray[np.float32] = (pixels / np.float32(255) - mean) / std
    return normalised.transpose(0, 3, 1, 2)
