"""Parse and check the boxes and masks of annotation files. Evaluation only.

COCO's forms are read (cocodataset.org/#format-data): a box is [x, y, width, height]; a mask is a list of polygons
[x1, y1, x2, y2, ...] or run lengths {"size": [height, width], "counts": list or compressed string}. Boxes become xyxy
pixels, and masks become compressed run lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from aligncat.errors import DataError
from aligncat.files.fields import required, required_int, required_list, shorten
from aligncat.geometry import MAX_PIXELS
from aligncat.types import RLE

_FEWEST_CORNERS = 3
# Pixels. pycocotools allocates memory for every fifth of a pixel of an outline, and crashes when memory runs out.
_LONGEST_OUTLINE = 1e6


@dataclass(frozen=True)
class Canvas:
    """The size of the image that a box or a mask belongs to.

    Attributes:
        width: pixels.
        height: pixels.
        where: file and row, for messages.
    """

    width: int
    height: int
    where: str


def image_size(row: Mapping[str, object], where: str) -> tuple[int, int]:
    """Return the width and height of an image in pixels.

    Args:
        row: COCO's row of an image, with "width" and "height".
        where: file and row, for messages.

    Raises:
        DataError: the width or the height is missing or below 1, or the image has more pixels than the limit.
    """
    width, height = required_int(row, "width", where), required_int(row, "height", where)
    for key, pixels in (("width", width), ("height", height)):
        if pixels < 1:
            raise DataError(f"{where}: {key!r} must be at least 1 pixel, not {pixels}; write the photo's {key}")
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{where}: an image of {width} x {height} pixels has more than the limit of {MAX_PIXELS:,}; write the "
            "photo's own 'width' and 'height'"
        )
    return width, height


def read_box(value: object, canvas: Canvas, *, corners: bool) -> NDArray[np.float64]:
    """Read a box.

    Args:
        value: four numbers in pixels.
        canvas: the size of its image.
        corners: whether the numbers are [x1, y1, x2, y2]. Otherwise they are COCO's [x, y, width, height].

    Returns:
        (4,) xyxy pixels. A box that extends beyond the image is not clipped.

    Raises:
        DataError: the value is not four finite numbers, or the box has no area or lies outside the image.
    """
    order = "[x1, y1, x2, y2]" if corners else "[x, y, width, height]"
    if not isinstance(value, list | tuple) or len(value) != 4 or not all(map(_is_coordinate, value)):
        raise DataError(f"{canvas.where}: the box must be four finite numbers {order}, not {value!r:.60}")
    x1, y1, x2, y2 = map(float, value)
    if not corners:
        x2, y2 = x1 + x2, y1 + y2
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"{canvas.where}: the box {value} has no area; boxes are {order} in pixels")
    if x1 >= canvas.width or y1 >= canvas.height or x2 <= 0 or y2 <= 0:
        raise DataError(
            f"{canvas.where}: the box {value} is outside its image of {canvas.width} x {canvas.height} "
            f"pixels; boxes are {order} in pixels of the original image"
        )
    return np.array([x1, y1, x2, y2], dtype=np.float64)


def read_mask(value: object, canvas: Canvas) -> RLE:
    """Read a mask.

    Args:
        value: COCO's polygons, COCO's run lengths (plain or compressed), or a list of run lengths as in RefCLEF. The
            mask is the union of the list.
        canvas: the size of its image.

    Returns:
        Compressed run lengths at the image's size.

    Raises:
        DataError: the value has none of these forms, its size differs from the image's, or the mask covers no pixel.
    """
    if isinstance(value, dict):
        rle = _run_lengths(value, canvas)
    elif isinstance(value, list | tuple) and value and all(isinstance(part, dict) for part in value):
        rle = coco_mask.merge([_run_lengths(part, canvas) for part in value])
    elif isinstance(value, list | tuple) and value:
        rle = coco_mask.merge(
            coco_mask.frPyObjects([_polygon(part, canvas) for part in value], canvas.height, canvas.width)
        )
    else:
        raise DataError(
            f"{canvas.where}: the mask must be a list of polygons or run lengths {{size, counts}}, not {shorten(value)}"
        )
    if not coco_mask.area(rle):
        raise DataError(f"{canvas.where}: the mask covers no pixel of its image")
    return RLE(size=[canvas.height, canvas.width], counts=rle["counts"])


def box_around(mask: RLE) -> NDArray[np.float64]:
    """Return the smallest box that contains a mask.

    Returns:
        (4,) xyxy pixels; x2 and y2 are exclusive.
    """
    x, y, width, height = coco_mask.toBbox(mask)
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def _is_coordinate(value: object) -> bool:
    # The bounds also reject NaN and infinity, which JSON readers accept, and integers that no float can hold.
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 < value < 1e9


def _polygon(value: object, canvas: Canvas) -> list[float]:
    # pycocotools would silently read a "polygon" of four numbers as a box.
    if (
        not isinstance(value, list | tuple)
        or len(value) < 2 * _FEWEST_CORNERS
        or len(value) % 2
        or not all(map(_is_coordinate, value))
    ):
        raise DataError(
            f"{canvas.where}: a polygon must be a list of at least 6 finite numbers [x1, y1, x2, y2, ...], "
            f"not {value!r:.60}"
        )
    corners = np.array(value, dtype=np.float64).reshape(-1, 2)
    outline = np.abs(np.diff(corners, axis=0, append=corners[:1])).max(axis=1).sum()
    if max(outline, np.abs(corners).max()) > _LONGEST_OUTLINE:
        raise DataError(
            f"{canvas.where}: a polygon's outline is {outline:,.0f} pixels long, or lies far outside its image of "
            f"{canvas.width} x {canvas.height}; give its corners in pixels"
        )
    return list(value)


def _run_lengths(value: Mapping[str, object], canvas: Canvas) -> RLE:
    size = required_list(value, "size", canvas.where)
    if size != [canvas.height, canvas.width]:
        raise DataError(
            f"{canvas.where}: the mask's size is {size}, but its image's [height, width] is "
            f"{[canvas.height, canvas.width]}"
        )
    counts = required(value, "counts", canvas.where)
    if isinstance(counts, str) and counts.isascii():
        counts = counts.encode("ascii")
    if isinstance(counts, bytes):
        runs, rle = _decompress(counts, canvas), RLE(size=[canvas.height, canvas.width], counts=counts)
    elif isinstance(counts, list) and all(isinstance(run, int) and not isinstance(run, bool) for run in counts):
        runs = counts
        rle = None
    else:
        raise DataError(f"{canvas.where}: 'counts' must be whole numbers or a compressed string, not {shorten(counts)}")
    # pycocotools does not check the runs: it reads uninitialized memory if they cover too few pixels.
    if any(run < 0 for run in runs) or sum(runs) != canvas.width * canvas.height:
        raise DataError(
            f"{canvas.where}: the mask's run lengths cover {sum(runs)} pixels of an image of "
            f"{canvas.width * canvas.height}"
        )
    return rle or coco_mask.frPyObjects({"size": size, "counts": runs}, canvas.height, canvas.width)


def _decompress(counts: bytes, canvas: Canvas) -> list[int]:
    """Decode a compressed run-length string, as pycocotools' rleToString writes it.

    A run is a signed base-32 number, lowest digit first; the digit 0 is the character 48. From the fourth run on, the
    number is the difference from the run two positions before.
    """
    runs: list[int] = []
    number = shift = 0
    for character in counts:
        digit = character - 48
        if not 0 <= digit < 64 or shift > 60:
            raise DataError(f"{canvas.where}: the mask's 'counts' is not a compressed run-length string")
        number |= (digit & 31) << shift
        shift += 5
        if digit & 32:
            continue
        if digit & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    if shift:
        raise DataError(f"{canvas.where}: the mask's 'counts' ends in the middle of a run")
    return runs
