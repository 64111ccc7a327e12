"""A plain folder of photos."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from aligncat.errors import DataError
from aligncat.types import ImageRecord


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
