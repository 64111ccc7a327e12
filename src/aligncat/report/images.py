"""Small copies of a dataset's pictures for the page."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from aligncat.console import track
from aligncat.errors import ImageError
from aligncat.files.images import read_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST = 480  # px
SHORTEST = 160  # px; objects cannot be recognised in smaller copies
MANY = 1500  # copies of 480 px, at about 35 KB each, are 52 MB
_QUALITY = 78


def is_inside(picture: Path, folder: Path) -> bool:
    """Return whether a picture lies in a folder, at any depth, after all links in either path are followed."""
    try:
        return picture.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a name that no disk allows, or links in a circle
        return False


def copy_images(paths: Iterable[Path], count: int, folder: Path) -> Iterator[str | None]:
    """Write a JPEG copy of every picture, one after another as the names are asked for.

    Copies are at most LONGEST px long, and smaller if there are more than MANY.

    Args:
        paths: the pictures.
        count: their number.
        folder: the folder of the copies, which is created.

    Returns:
        An iterator of the file name of each copy; None for a picture that is missing or cannot be read.
    """
    folder.mkdir()
    side = max(SHORTEST, min(LONGEST, round(LONGEST * math.sqrt(MANY / max(count, 1)))))
    numbered = track(enumerate(paths), "copying pictures", total=count, transient=True)
    return (_copy(path, folder / f"{number:05}.jpg", side) for number, path in numbered)


def _copy(path: Path, copy: Path, side: int) -> str | None:
    try:
        image = read_image(path)
    except ImageError:
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(copy, quality=_QUALITY)
    return copy.name
