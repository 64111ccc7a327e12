"""The image that a box or a mask of an annotation file belongs to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aligncat.errors import DataError
from aligncat.files.fields import required, required_int, whole
from aligncat.geometry import MAX_PIXELS

ROUNDING = 1.0
"""Pixels by which a box or a polygon may leave its image: annotation tools round, and some count pixels from 1."""


@dataclass(frozen=True)
class Canvas:
    """The size of the image that a box or a mask belongs to.

    Attributes:
        width: pixels.
        height: pixels.
        where: file and row, for messages.
        remark: receives a message about a mask that is read, but not completely. `BadRows.remark` collects them.
    """

    width: int
    height: int
    where: str
    remark: Callable[[str], None]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height


def image_size(row: Mapping[str, object], where: str) -> tuple[int, int]:
    """Return the width and height of an image in pixels.

    Args:
        row: COCO's row of an image, with "width" and "height".
        where: file and row, for messages.

    Raises:
        DataError: the width or the height is missing or below 1, or the image has more pixels than the limit.
    """
    sides = {key: whole(required(row, key, where)) for key in ("width", "height")}
    width, height = required_int(sides, "width", where), required_int(sides, "height", where)
    for key, pixels in (("width", width), ("height", height)):
        if pixels < 1:
            raise DataError(f"{where}: {key!r} must be at least 1 pixel, not {pixels}; write the photo's {key}")
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{where}: an image of {width} x {height} pixels has more than the limit of {MAX_PIXELS:,}; write the "
            "photo's own 'width' and 'height'"
        )
    return width, height


def is_coordinate(value: object) -> bool:
    """Return whether a value is a number that can be a coordinate.

    The bounds also reject NaN and infinity, which JSON readers accept, and integers that no float can hold.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 < value < 1e9
