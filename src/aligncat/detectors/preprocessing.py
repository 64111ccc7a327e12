"""How a photo becomes the square that the detector takes, and how what it says there goes back to the photo.

Three modes, by name:

- `letterbox-416`: the photo, its aspect kept, centred on grey in a square of 416 px or of the detector's own size.
  Shrinking is antialiased.
- `letterbox-416-to-800`: what QueryMatch does. A letterbox of 416 px, shrunk without antialiasing as cv2.resize does,
  then brought to 800 px (its "shortest edge") as detectron2 does.
- `hub-384`: what the image processors of the hub's COCO checkpoints do. The photo fills 384 x 384, its aspect lost.

In all three, pixels are then normalised by ImageNet's mean and spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor

from aligncat.detectors.protocol import JSON
from aligncat.errors import ConfigError
from aligncat.geometry import PADDING_GREY, Letterbox, letterbox_image, mask_to_original

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
    """One of the modes, at a size.

    Attributes:
        mode: its name.
        size: side of the square that the detector takes, pixels.
    """

    mode: PreprocessingMode
    size: int

    @classmethod
    def of(cls, mode: PreprocessingMode, image_size: int | None = None, own_size: int | None = None) -> Self:
        """A mode at the size that is asked for, else at the detector's own, else at the one in its name.

        Args:
            mode: its name.
            image_size: the side that is asked for, pixels.
            own_size: the side that the detector was trained with, pixels.

        Raises:
            ConfigError: there is no such mode, it has another size than is asked for, or the size is too small.
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
        """All that decides the detector's pixels, beside the size."""
        padding: dict[str, JSON] = {} if self.mode == "hub-384" else {"padding": PADDING_GREY}
        return {"mode": self.mode, "fit": _FITS[self.mode], **padding, "mean": list(_MEAN), "std": list(_STD)}

    def square(self, image: Image.Image) -> tuple[Image.Image, Letterbox]:
        """An RGB photo as the (size, size) square that the detector takes, and where the photo lies in it.

        The place is in pixels of the letterbox, which `letterbox-416-to-800` enlarges as a whole.
        """
        if self.mode == "letterbox-416":
            return letterbox_image(image, self.size)
        if self.mode == "hub-384":
            return squash_image(image, self.size)
        square, place = letterbox_image(image, _LETTERBOX, antialias=False)
        return square.resize((self.size, self.size), Image.Resampling.BILINEAR), place

    def boxes_to_square(self, boxes: ArrayLike, place: Letterbox) -> NDArray[np.float64]:
        """Boxes of the photo, (..., 4) xyxy pixels, in pixels of the square."""
        return place.to_square(boxes) * (self.size / place.size)

    def boxes_to_photo(self, boxes: ArrayLike, place: Letterbox) -> NDArray[np.float64]:
        """Boxes of the square, (..., 4) xyxy pixels, in pixels of the photo: the inverse of `boxes_to_square`."""
        return place.to_photo(np.asarray(boxes, dtype=np.float64) * (place.size / self.size))

    def mask_to_photo(self, logits: NDArray[np.floating], place: Letterbox) -> NDArray[np.bool_]:
        """The (height, width) mask of the photo from (h, w) logits of the square; see `mask_to_original`."""
        return mask_to_original(logits, place)


def squash_image(image: Image.Image, size: int) -> tuple[Image.Image, Letterbox]:
    """An RGB image that fills a size × size square, whatever its aspect (bilinear, antialiased).

    Returns:
        The square, and where the image lies in it: everywhere.
    """
    square = image.resize((size, size), Image.Resampling.BILINEAR)
    return square, Letterbox.squashed(image.width, image.height, size)


def normalize(squares: Sequence[Image.Image]) -> Tensor:
    """RGB images of one size as the detector takes them: ImageNet's mean and spread, on the scale of 0 to 1.

    Returns:
        (B, 3, size, size) float32.
    """
    pixels = torch.from_numpy(np.stack([np.asarray(square) for square in squares])).permute(0, 3, 1, 2)
    return (pixels.float() / 255 - torch.tensor(_MEAN).view(3, 1, 1)) / torch.tensor(_STD).view(3, 1, 1)
