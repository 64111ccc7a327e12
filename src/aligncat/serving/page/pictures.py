"""The photo and the masks of an answer as data URLs, small enough for a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from aligncat.files.images import decode_image
from aligncat.geometry import decode_mask
from aligncat.types import RLE

_LONGER_SIDE = 1280  # pixels of the shown photo
_OPACITY = 120  # of 255


def shown_photo(photo: bytes, *, max_pixels: int) -> str:
    """Return a photo as it is shown, at most 1,280 pixels long.

    Args:
        photo: the photo's file.
        max_pixels: the most pixels that are decoded.

    Raises:
        ImageError: it cannot be read.
    """
    image = decode_image(io.BytesIO(photo), "the photo", max_pixels=max_pixels)
    image.thumbnail((_LONGER_SIDE, _LONGER_SIDE), Image.Resampling.LANCZOS)
    return _url(image, "JPEG", quality=88)


def shown_mask(mask: RLE, color: tuple[int, int, int]) -> str:
    """Return a mask as a transparent picture of one colour, at most 1,280 pixels long.

    Args:
        mask: the mask, at the photo's size.
        color: red, green and blue.
    """
    inside = decode_mask(mask)
    step = -(-max(inside.shape) // _LONGER_SIDE)
    picture = Image.fromarray(np.ascontiguousarray(inside[::step, ::step]).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, *color])
    return _url(picture, "PNG", transparency=bytes([0, _OPACITY]), bits=1)


def _url(image: Image.Image, form: str, **options: object) -> str:
    image.save(file := io.BytesIO(), form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
