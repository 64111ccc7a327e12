"""Convert an image into a detector's square input, with numpy and PIL only.

There are four modes:

- `letterbox-416`: the image keeps its aspect ratio and is centred on grey in a square of 416 px or of the detector's
  own size. Shrinking is antialiased.
- `letterbox-416-to-800`: the preprocessing of QueryMatch. The image is put into a letterbox of 416 px, shrunk without
  antialiasing as in cv2.resize. The letterbox is then enlarged to 800 px, the "shortest edge" of detectron2.
- `hub-384`: the preprocessing of the hub's Mask2Former checkpoints. The image is stretched to 384 x 384.
- `squash`: the preprocessing of RT-DETR and its kin. The image is stretched to a square of 640 px or of the detector's
  own size.

All then normalise the pixels with a mean and a standard deviation: those of ImageNet, unless the detector has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aligncat.errors import ConfigError
from aligncat.geometry import PADDING_GREY, Letterbox, letterbox_image
from aligncat.types import JSON

PreprocessingMode = Literal["letterbox-416", "letterbox-416-to-800", "hub-384", "squash"]
DEFAULT_MODE: PreprocessingMode = "letterbox-416"

Colour: TypeAlias = tuple[float, float, float]
"""A number each for red, green and blue, where a pixel has values from 0 to 1."""
IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)
_LETTERBOX = 416
# Side of the square, pixels.
_SIDES: dict[PreprocessingMode, int] = {
    "letterbox-416": _LETTERBOX,
    "letterbox-416-to-800": 800,
    "hub-384": 384,
    "squash": 640,
}
_OF_ANY_SIZE: tuple[PreprocessingMode, ...] = ("letterbox-416", "squash")
_SQUASHED: tuple[PreprocessingMode, ...] = ("hub-384", "squash")
_FITS: dict[PreprocessingMode, str] = {
    "letterbox-416": "letterbox, centred, bilinear",
    "letterbox-416-to-800": "letterbox to 416, centred, bilinear without antialiasing, then bilinear to 800",
    "hub-384": "squash, bilinear",
    "squash": "squash, bilinear",
}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """A preprocessing mode and the size of its square.

    Attributes:
        mode: the mode's name.
        size: side of the square, pixels.
        mean: subtracted from the pixels.
        std: divides them afterwards.
    """

    mode: PreprocessingMode
    size: int
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD

    @classmethod
    def of(cls, mode: PreprocessingMode, image_size: int | None = None, own_size: int | None = None) -> Self:
        """Return a mode with the size of its square.

        The size of `letterbox-416` is `image_size`, else `own_size`, else 416; that of `squash` likewise, but 640. The
        other modes have one size each.

        Args:
            mode: the mode's name.
            image_size: the requested side, pixels. Only these two modes accept another size.
            own_size: the side that the detector was trained with, pixels. Only these two modes use it.

        Raises:
            ConfigError: the mode is unknown, it cannot have the requested size, or the size is too small.
        """
        if mode not in get_args(PreprocessingMode):
            raise ConfigError(f"unknown preprocessing {mode!r}; use one of {', '.join(_SIDES)}")
        side = _SIDES[mode]
        if mode in _OF_ANY_SIZE:
            side = next((size for size in (image_size, own_size) if size is not None), side)
        elif image_size not in (None, side):
            raise ConfigError(
                f"image_size {image_size}: preprocessing {mode} is always {side} px; leave image_size out, or choose "
                "another preprocessing"
            )
        if side < 32:
            raise ConfigError(f"image_size {side}: detectors need at least 32 pixels; choose a larger size.")
        return cls(mode, side)

    def description(self) -> dict[str, JSON]:
        """Return all settings that determine the pixels, except the size, as JSON."""
        padding: dict[str, JSON] = {} if self.mode in _SQUASHED else {"padding": PADDING_GREY}
        return {"mode": self.mode, "fit": _FITS[self.mode], **padding, "mean": list(self.mean), "std": list(self.std)}

    def square(self, image: Image.Image) -> tuple[Image.Image, Letterbox]:
        """Convert an RGB image into the (size, size) square.

        Returns:
            The square, and the position of the image in it. For `letterbox-416-to-800`, the position is in pixels of
            the 416 px letterbox, before it is enlarged.
        """
        if self.mode == "letterbox-416":
            return letterbox_image(image, self.size)
        if self.mode in _SQUASHED:
            return squash_image(image, self.size)
        square, place = letterbox_image(image, _LETTERBOX, antialias=False)
        return square.resize((self.size, self.size), Image.Resampling.BILINEAR), place


def squash_image(image: Image.Image, size: int) -> tuple[Image.Image, Letterbox]:
    """Stretch an RGB image to a size × size square (bilinear, antialiased).

    Returns:
        The square, and the position of the image in it: the whole square.
    """
    square = image.resize((size, size), Image.Resampling.BILINEAR)
    return square, Letterbox.squashed(image.width, image.height, size)


def normalize(
    squares: Sequence[Image.Image], mean: Colour = IMAGENET_MEAN, std: Colour = IMAGENET_STD
) -> NDArray[np.float32]:
    """Scale RGB images of equal size to [0, 1] and normalise them.

    Args:
        squares: B images.
        mean: subtracted from the pixels; by default ImageNet's.
        std: divides them afterwards.

    Returns:
        (B, 3, size, size) float32, a view of an array whose last axis is the channels.
    """
    pixels = np.stack([np.asarray(square) for square in squares]).astype(np.float32)
    means, deviations = (np.array(values, dtype=np.float32) for values in (mean, std))
    normalised: NDArray[np.float32] = (pixels / np.float32(255) - means) / deviations
    return normalised.transpose(0, 3, 1, 2)
