"""Safe reading of image files from unknown sources."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from aligncat.errors import ImageError
from aligncat.geometry import MAX_PIXELS
from aligncat.wording import first_line

_WHITE = (255, 255, 255, 255)
# Errors that Pillow's decoders are known to raise on damaged files.
_DECODER_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, OverflowError)
_DAMAGE = (*_DECODER_ERRORS, struct.error, zlib.error)


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file as 8-bit RGB in its displayed orientation.

    The EXIF orientation is applied, transparent pixels are blended with white, 16-bit grey is reduced to 8 bits, and
    only the first frame of an animation is read. The size is checked before any pixel is decoded.

    Args:
        path: the file.
        max_pixels: the largest width × height to accept.

    Raises:
        ImageError: the file is missing, corrupt, truncated, empty, too large, or in an unknown format.
    """
    if not path.is_file():
        raise ImageError(f"{path}: no such image file; check the dataset's image folder.")
    try:
        opened = Image.open(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow raises an error for very large images and a warning for large ones, which a caller may turn into an
        # error.
        raise ImageError(_too_large(path, str(error), max_pixels)) from error
    except _DAMAGE as error:
        raise ImageError(_unreadable(path, error)) from error
    with opened:
        if 0 in opened.size:
            raise ImageError(f"{path}: the image is empty ({_size(opened)}); remove it.")
        if opened.width * opened.height > max_pixels:
            raise ImageError(_too_large(path, _size(opened), max_pixels))
        try:
            opened.load()
            return _to_rgb(opened)
        except _DAMAGE as error:
            raise ImageError(_unreadable(path, error)) from error


def as_rgb(image: str | Path | Image.Image) -> Image.Image:
    """Return an image file or a PIL image as 8-bit RGB, converted as by `read_image`.

    Args:
        image: a file or a PIL image.

    Raises:
        ImageError: the image cannot be read, is empty, or has floating-point pixels.
    """
    if not isinstance(image, Image.Image):
        return read_image(Path(image))
    if 0 in image.size:
        raise ImageError(f"the image is empty ({_size(image)}); give another image")
    try:
        return _to_rgb(image)
    except ValueError as error:
        raise ImageError(f"the image cannot be used: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point images have no fixed range; save it with 8 bits per channel")
    if image.mode.startswith("I"):
        grey = np.asarray(image).astype(np.int64).clip(0, 65535) >> 8
        return Image.fromarray(grey.astype(np.uint8), "L").convert("RGB")
    if image.has_transparency_data:
        opaque = Image.new("RGBA", image.size, _WHITE)
        opaque.alpha_composite(image.convert("RGBA"))
        return opaque.convert("RGB")
    return image.convert("RGB")


def _size(image: Image.Image) -> str:
    return f"{image.width} by {image.height} pixels"


def _too_large(path: Path, found: str, max_pixels: int) -> str:
    limit = f"{max_pixels / 1e6:g} megapixels"
    return f"{path}: the image is too large ({found}); the limit is {limit}; scale it down or remove it."


def _unreadable(path: Path, error: Exception) -> str:
    reason = first_line(error)
    if isinstance(error, UnidentifiedImageError):
        reason = "the file is empty" if path.stat().st_size == 0 else "not a known image format, or corrupt"
    return f"{path}: the image cannot be read ({reason}); replace or remove it."
