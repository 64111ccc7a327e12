"""A plain folder of photos, and the size of one."""

from __future__ import annotations

import struct
from pathlib import Path

from PIL import Image

from aligncat.errors import DataError, ImageError
from aligncat.types import ImageRecord

_EXIF_ORIENTATION = 0x0112
_FIRST_SIDEWAYS_ORIENTATION = 5
# What Pillow is known to raise at a damaged header or EXIF block.
_HEADER_ERRORS = (OSError, Image.DecompressionBombError, ValueError, SyntaxError, TypeError, struct.error)


def photo_size(path: Path, where: str) -> tuple[int, int]:
    """(width, height) as the image is shown, from its header; a camera held sideways says so in EXIF.

    Args:
        path: the image file.
        where: file and row that name it, for messages.

    Raises:
        ImageError: it is missing or no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(_EXIF_ORIENTATION, 1) >= _FIRST_SIDEWAYS_ORIENTATION
    except _HEADER_ERRORS as error:
        raise ImageError(f"{where}: {path}: cannot be read as an image ({error})") from error
    return (height, width) if sideways else (width, height)


def photos_in(folder: Path) -> list[ImageRecord]:
    """Every image file below a folder, by the suffixes that Pillow reads; its id is its path in the folder.

    Hidden files are passed over: "._photo.jpg" is what a Mac leaves beside a photo, and is none.

    Args:
        folder: the folder.

    Returns:
        The images, sorted by id.

    Raises:
        DataError: the folder is missing, or holds no image file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder: give the one that holds the photos")
    suffixes = {suffix for suffix, format_name in Image.registered_extensions().items() if format_name in Image.OPEN}
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
    if not files:
        raise DataError(f"{folder} holds no image file that Pillow can read")
    records = [ImageRecord(id=path.relative_to(folder).as_posix(), path=path) for path in files]
    return sorted(records, key=lambda record: record.id)
