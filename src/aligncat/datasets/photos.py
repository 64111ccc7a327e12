"""The photos in a folder, and the size of a photo."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from aligncat.errors import DataError, ImageError
from aligncat.files.images import FORMATS, open_file, open_header, stored_size
from aligncat.types import ImageRecord

_EXIF_ORIENTATION = 0x0112
_FIRST_SIDEWAYS_ORIENTATION = 5


def photo_size(path: Path, where: str) -> tuple[int, int]:
    """Return (width, height) of an image as it is shown, with EXIF orientation applied; only the header is read.

    Args:
        path: the image file.
        where: the file and row that refer to the image, for messages.

    Raises:
        ImageError: the file is missing or is not an image.
    """
    try:
        with open_file(path) as file, open_header(file, str(path)) as image:
            width, height = stored_size(image)
            sideways = image.getexif().get(_EXIF_ORIENTATION, 1) >= _FIRST_SIDEWAYS_ORIENTATION
    except ImageError as error:
        raise ImageError(f"{where}: {error}") from error
    return (height, width) if sideways else (width, height)


def photos_in(folder: Path) -> list[ImageRecord]:
    """List all image files below a folder, by the suffixes of FORMATS. An image's id is its path in the folder.

    Hidden files are left out: "._photo.jpg" is macOS metadata, not a photo.

    Args:
        folder: the folder.

    Returns:
        The images, sorted by id.

    Raises:
        DataError: the folder is missing or has no image file.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder with the photos")
    suffixes = {suffix for suffix, format_name in Image.registered_extensions().items() if format_name in FORMATS}
    files = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
    if not files:
        raise DataError(f"{folder} has no image file that can be read; give the folder with the photos")
    records = [ImageRecord(id=path.relative_to(folder).as_posix(), path=path) for path in files]
    return sorted(records, key=lambda record: record.id)
