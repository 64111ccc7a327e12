"""Small copies of a dataset's pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image

from aligncat.console import track
from aligncat.errors import ImageError
from aligncat.files.images import read_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST = 480  # px
SHORTEST = 160  # px: below it, things are not to be told apart
# So many of 480 px, about 35 KB each, are 52 MB.
MANY = 1500
_QUALITY = 78


def copy_images(paths: Sequence[Path], folder: Path) -> list[str | None]:
    """Write a JPEG of at most LONGEST px for every picture; where there are more than MANY, smaller ones.

    Args:
        paths: where the pictures are.
        folder: where the copies go; it is made.

    Returns:
        The names of the copies, None for a picture that is not there or cannot be read.
    """
    folder.mkdir()
    side = max(SHORTEST, min(LONGEST, round(LONGEST * math.sqrt(MANY / max(len(paths), 1)))))
    numbered = track(enumerate(paths), "copying pictures", total=len(paths), transient=True)
    return [_copy(path, folder / f"{number:05}.jpg", side) for number, path in numbered]


def _copy(path: Path, copy: Path, side: int) -> str | None:
    try:
        image = read_image(path)
    except (ImageError, OSError):  # such as a name that this disk cannot have
        return None
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(copy, quality=_QUALITY)
    return copy.name
