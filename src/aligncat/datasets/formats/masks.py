"""Read the masks of annotation files. Evaluation only.

COCO's forms are read (cocodataset.org/#format-data): a list of polygons [x1, y1, x2, y2, ...], or run lengths
{"size": [height, width], "counts": list or compressed string}. Both become compressed run lengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from aligncat.datasets.formats.canvas import ROUNDING, Canvas, is_coordinate
from aligncat.errors import DataError
from aligncat.files.fields import required, required_list, shorten
from aligncat.types import RLE, Truth

_FEWEST_CORNERS = 3
# Pixels. pycocotools allocates memory for every fifth of a pixel of an outline, and crashes when memory runs out.
_LONGEST_OUTLINE = 1e6


def read_mask(value: object, canvas: Canvas) -> RLE | None:
    """Read a mask.

    Args:
        value: COCO's polygons, COCO's run lengths (plain or compressed), or a list of run lengths as in RefCLEF. The
            mask is the union of the list. One polygon may lack the outer brackets.
        canvas: the size of its image.

    Returns:
        Compressed run lengths at the image's size. None if the value is null, an empty list or an empty string, which
        exporters write for "no mask".

    Raises:
        DataError: the value has none of these forms, its size differs from the image's, or the mask covers no pixel.
    """
    if value is None or _is_empty(value):
        return None
    if isinstance(value, dict):
        rle = _run_lengths(value, canvas)
    elif isinstance(value, list | tuple) and all(isinstance(part, dict) for part in value):
        rle = coco_mask.merge([_run_lengths(part, canvas) for part in value])
    elif isinstance(value, list | tuple):
        flat = all(map(is_coordinate, value))
        rle = coco_mask.merge(
            coco_mask.frPyObjects(_polygons([value] if flat else value, canvas), canvas.height, canvas.width)
        )
    else:
        raise DataError(
            f"{canvas.where}: the mask must be a list of polygons or run lengths {{size, counts}}, not {shorten(value)}"
        )
    if not coco_mask.area(rle):
        raise DataError(f"{canvas.where}: the mask covers no pixel of its image")
    return RLE(size=[canvas.height, canvas.width], counts=rle["counts"])


def joined_truth(
    objects: Sequence[tuple[NDArray[np.float64], RLE | None]], category: str | None, size: tuple[int, int]
) -> Truth:
    """Return the truth of an expression that means these objects.

    Args:
        objects: their boxes, (4,) xyxy pixels, and masks.
        category: the name of their category, or None.
        size: (width, height) of the image in pixels.
    """
    masks = tuple(mask for _, mask in objects if mask is not None)
    boxes = np.array([box for box, _ in objects], dtype=np.float64).reshape(-1, 4)
    return Truth(boxes, masks if len(masks) == len(objects) else None, category, size)


def box_around(mask: RLE) -> NDArray[np.float64]:
    """Return the smallest box that contains a mask.

    Returns:
        (4,) xyxy pixels; x2 and y2 are exclusive.
    """
    x, y, width, height = coco_mask.toBbox(mask)
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def _is_empty(value: object) -> bool:
    """Return whether a value is an empty string, or a list that holds nothing but empty lists."""
    return value == "" or (isinstance(value, list | tuple) and all(map(_is_empty_list, value)))


def _is_empty_list(value: object) -> bool:
    return isinstance(value, list | tuple) and not value


def _polygons(parts: Sequence[object], canvas: Canvas) -> list[list[float]]:
    """Return the polygons of a mask. Parts of one or two points cover nothing and are dropped if others remain."""
    good = [part for part in parts if not _is_too_short(part)] or parts
    if dropped := len(parts) - len(good):
        canvas.remark(
            f"{canvas.where}: {dropped} of the mask's {len(parts)} polygons have fewer than 3 corners and are dropped"
        )
    polygons = [_polygon(part, canvas) for part in good]
    corners = np.concatenate(polygons).reshape(-1, 2)
    if corners.min() >= 0 and corners.max() <= 1:
        raise DataError(
            f"{canvas.where}: the mask's corners are all between 0 and 1, which look like fractions of the photo; "
            "write them in pixels"
        )
    if corners.min() < -ROUNDING or (corners.max(axis=0) > np.array(canvas.size) + ROUNDING).any():
        canvas.remark(
            f"{canvas.where}: the mask's polygons leave its image of {canvas.width} x {canvas.height} pixels and are "
            "cut off there"
        )
    return [polygon.tolist() for polygon in polygons]


def _is_too_short(part: object) -> bool:
    # pycocotools would silently read a "polygon" of four numbers as a box.
    return (
        isinstance(part, list | tuple)
        and len(part) < 2 * _FEWEST_CORNERS
        and len(part) % 2 == 0
        and all(map(is_coordinate, part))
    )


def _polygon(value: object, canvas: Canvas) -> NDArray[np.float64]:
    if (
        not isinstance(value, list | tuple)
        or len(value) < 2 * _FEWEST_CORNERS
        or len(value) % 2
        or not all(map(is_coordinate, value))
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
    return corners.ravel()


def _run_lengths(value: Mapping[str, object], canvas: Canvas) -> RLE:
    size = required_list(value, "size", canvas.where)
    if size != [canvas.height, canvas.width]:
        turned = "; EXIF turns the photo, and the mask is not turned" if size == [canvas.width, canvas.height] else ""
        raise DataError(
            f"{canvas.where}: the mask's size is {size}, but its image's [height, width] is "
            f"{[canvas.height, canvas.width]}{turned}"
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
