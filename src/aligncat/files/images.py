"""Reading a picture file that may be anything, safely."""

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
# What Pillow's decoders are known to raise on damaged files, beside OSError; none is a fault of ours.
_DECODER_ERRORS = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, OverflowError)
_DAMAGE = (*_DECODER_ERRORS, struct.error, zlib.error)


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file as 8-bit RGB, the right way up.

    The EXIF orientation is applied; transparency is laid on white; 16-bit grey is reduced to 8 bits; of an
    animation, the first frame is taken. The size is checked before a pixel is decoded.

    Args:
        path: the file.
        max_pixels: the largest width × height that is accepted.

    Raises:
        ImageError: the file is missing, corrupt, truncated, empty, too large, or of an unknown format.
    """
    if not path.is_file():
        raise ImageError(f"{path}: no such image file; check the dataset's image folder.")
    try:
        opened = Image.open(path)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow refuses the largest by itself; of large ones it warns, which a caller may make an error.
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
    """A picture as `read_image` gives it, whether it is a file or was opened before.

    Args:
        image: a file, or a PIL image.

    Raises:
        ImageError: it cannot be read, is empty, or is of floating-point numbers.
    """
    if not isinstance(image, Image.Image):
        return read_image(Path(image))
    if 0 in image.size:
        raise ImageError(f"the image is empty ({_size(image)}): give another")
    try:
        return _to_rgb(image)
    except ValueError as error:
        raise ImageError(f"the image cannot be used: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point images have no fixed range; save it as 8-bit")
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
    return f"{path}: the image is too large ({found}); the limit is {limit}: scale it down or remove it."


def _unreadable(path: Path, error: Exception) -> str:
    reason = first_line(error)
    if isinstance(error, UnidentifiedImageError):
        reason = "the file is empty" if path.stat().st_size == 0 else "not a known image format, or corrupt"
    return f"{path}: the image cannot be read ({reason}); replace or remove it."
