"""Safe reading of image files from unknown sources."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from aligncat.errors import ImageError, LargeImageError
from aligncat.geometry import MAX_PIXELS
from aligncat.wording import first_line

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
"""Pillow's names of the formats that are decoded; AVIF only where Pillow was built with it.

Pillow reads 40 more. Some start other programs (EPS starts Ghostscript), and a file's suffix does not tell its format.
"""
MAX_SCANS = 100
"""The largest number of scans of a JPEG; encoders write 1 to 20. Each scan goes through the whole image again."""

_WHITE = (255, 255, 255, 255)
_READ = "JPEG, PNG, WebP, GIF, BMP, TIFF, PPM and AVIF"
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_PLAIN_PPM = (b"P1", b"P2", b"P3")
# TIFF's tags of the width and length, pixels, of the image and of a tile.
_TIFF_SIZE, _TIFF_TILE = (256, 257), (322, 323)
_JPEG_SCAN = b"\xff\xda"
_CHUNK = 1 << 20  # bytes


def read_image(path: Path, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read an image file as 8-bit RGB in its displayed orientation.

    The EXIF orientation is applied, transparent pixels are blended with white, 16-bit grey is reduced to 8 bits, and
    only the first frame of an animation is read. The size is checked before any pixel is decoded.

    Args:
        path: the file.
        max_pixels: the largest width × height to accept.

    Raises:
        ImageError: the file is missing, corrupt, truncated, empty, too large, or in none of the FORMATS.
    """
    with open_file(path) as file:
        return decode_image(file, str(path), max_pixels=max_pixels)


def decode_image(file: BinaryIO, where: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an open file as `read_image` does.

    Args:
        file: the file, open for reading bytes; it must be seekable.
        where: the file's name, for messages.
        max_pixels: the largest width × height to accept.

    Raises:
        ImageError: as for `read_image`.
    """
    with open_header(file, where) as image:
        check_size(image.size, where, max_pixels=max_pixels)
        if isinstance(image, TiffImageFile):
            tile_width, tile_height = (int(image.tag_v2.get(tag, 0)) for tag in _TIFF_TILE)
            _check_pixels(tile_width * tile_height, f"tiles of {tile_width} by {tile_height}", where, max_pixels)
        if image.format in ("JPEG", "MPO") and _count(file, _JPEG_SCAN) > MAX_SCANS:
            raise ValueError(f"it is a JPEG with more than {MAX_SCANS} scans, as no camera writes it")
        image.load()
        return to_rgb(image)


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open an image file for `decode_image` or `open_header`.

    Raises:
        ImageError: there is no such file, or it cannot be opened.
    """
    try:
        if not path.is_file():  # reading a pipe or a device would wait for ever
            raise ImageError(f"{path}: no such image file; check the path and the folder of the photos.")
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: the image cannot be read ({error.strerror}); replace or remove it.") from error
    with file:
        yield file


@contextmanager
def open_header(file: BinaryIO, where: str) -> Iterator[Image.Image]:
    """Open an image of one of the FORMATS; its pixels are decoded only when the caller loads them.

    Args:
        file: the file, open for reading bytes; it must be seekable.
        where: the file's name, for messages.

    Raises:
        ImageError: the file is corrupt or in none of the FORMATS. Any error in the body becomes an ImageError too, so
            the body should hold nothing but work of the decoder.
    """
    try:
        _refuse_by_name(file)
        with Image.open(file, formats=_formats()) as image:
            yield image
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow raises an error for very large images and a warning for large ones, which a caller may turn into an
        # error.
        raise LargeImageError(_too_large(where, str(error), MAX_PIXELS)) from error
    except Exception as error:
        # Damaged files make Pillow's decoders raise about anything: beside OSError, SyntaxError and ValueError also
        # struct.error, zlib.error, KeyError, IndexError, TypeError, AttributeError, AssertionError, OverflowError,
        # MemoryError, RuntimeError and RecursionError were seen or are in their code, and every release adds a format's
        # own. Only the decoder runs here, and the cause is kept.
        raise ImageError(
            f"{where}: the image cannot be read ({_reason(file, error)}); replace or remove it."
        ) from error


def stored_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) of an opened image as it is stored; Pillow gives a TIFF's as EXIF turns it."""
    if not isinstance(image, TiffImageFile):
        return image.size
    width, height = (int(image.tag_v2[tag]) for tag in _TIFF_SIZE)
    return width, height


@cache
def _formats() -> tuple[str, ...]:
    """Return the FORMATS that this Pillow has, ready to decode."""
    Image.init()
    # libtiff prints errors to standard error, without the file's name; what matters of them Pillow raises.
    library = ctypes.CDLL(import_module("PIL._imaging").__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if hasattr(library, name):  # not where libtiff's names are hidden, as on Windows
            getattr(library, name)(None)
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _refuse_by_name(file: BinaryIO) -> None:
    """Raise a ValueError for HEIC, which Pillow would not name, and text as pixels, which it decodes for minutes."""
    start = file.read(64)
    if start[4:8] == b"ftyp":
        brands = {start[place : place + 4] for place in range(8, len(start), 4)}
        if brands & _HEIC_BRANDS and not brands & _AVIF_BRANDS:
            raise ValueError("it is a HEIC picture, which is not read; save it as JPEG or PNG")
    if start.startswith(_PLAIN_PPM):
        raise ValueError("it is a PPM with numbers as text, which is not read; save it as PNG")
    file.seek(0)


def _count(file: BinaryIO, marker: bytes) -> int:
    """Return how often a marker of two bytes occurs in a file, whose position stays."""
    position = file.tell()
    file.seek(0)
    found, last = 0, b""
    while chunk := file.read(_CHUNK):
        found += (last + chunk).count(marker)
        last = chunk[-1:]
    file.seek(position)
    return found


def to_rgb(image: Image.Image) -> Image.Image:
    """Return a decoded image as 8-bit RGB in its displayed orientation; see `read_image`.

    Raises:
        ValueError: the pixels are floating-point numbers.
    """
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


def check_size(size: tuple[int, int], where: str, *, max_pixels: int = MAX_PIXELS) -> None:
    """Check that an image is neither empty nor too large.

    Args:
        size: (width, height) in pixels.
        where: the file's name, for messages.
        max_pixels: the largest width × height to accept.

    Raises:
        ImageError: it is empty or too large.
    """
    width, height = size
    found = f"{width} by {height} pixels"
    if 0 in size:
        raise ImageError(f"{where}: the image is empty ({found}); remove it.")
    _check_pixels(width * height, found, where, max_pixels)


def _check_pixels(pixels: int, found: str, where: str, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise LargeImageError(_too_large(where, found, max_pixels))


def _too_large(where: str, found: str, max_pixels: int) -> str:
    limit = f"{max_pixels / 1e6:g} megapixels"
    return f"{where}: the image is too large ({found}); the limit is {limit}; scale it down or remove it."


def _reason(file: BinaryIO, error: Exception) -> str:
    if not isinstance(error, UnidentifiedImageError):
        return first_line(error).replace(" (", ", ").replace(")", "")  # it stands in brackets
    file.seek(0)
    return f"not a known image format, or corrupt; {_READ} are read" if file.read(1) else "the file is empty"
