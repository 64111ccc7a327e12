"""Letterboxing and its inverse, boxes, masks and IoU, on numpy arrays.

Boxes are xyxy pixels of the original image. x2 and y2 are exclusive: a box around one pixel has area 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from aligncat.types import RLE

PADDING_GREY = 127
MAX_PIXELS = 64_000_000
"""The largest accepted number of pixels of an image or a mask."""
SAME_OBJECT_IOU = 0.5
"""Two boxes show the same object if their IoU is above this, as in the paper's REC metric (section 5.1)."""
_EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=np.int8)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The position of a resized image in a square, either centred with padding or stretched to fill the square.

    Attributes:
        size: the side length of the square, pixels.
        left: the width of the padding left of the image, pixels.
        top: the height of the padding above the image, pixels.
        inner_width: the width of the resized image, pixels.
        inner_height: the height of the resized image, pixels.
        width: the width of the original image, pixels.
        height: the height of the original image, pixels.
    """

    size: int
    left: int
    top: int
    inner_width: int
    inner_height: int
    width: int
    height: int

    @classmethod
    def of(cls, width: int, height: int, size: int) -> Self:
        """Return the letterbox that centres an image and keeps its aspect ratio.

        Sizes are rounded down as in QueryMatch, but are at least 1.
        """
        longest = max(width, height)
        inner_width = max(width * size // longest, 1)
        inner_height = max(height * size // longest, 1)
        return cls(
            size=size,
            left=(size - inner_width) // 2,
            top=(size - inner_height) // 2,
            inner_width=inner_width,
            inner_height=inner_height,
            width=width,
            height=height,
        )

    @classmethod
    def squashed(cls, width: int, height: int, size: int) -> Self:
        """Return the letterbox that stretches an image to fill the square, without padding."""
        return cls(size=size, left=0, top=0, inner_width=size, inner_height=size, width=width, height=height)

    def inner_cells(self, rows: int, columns: int) -> tuple[slice, slice]:
        """Return the rows and the columns of a grid over the square that overlap the image.

        Args:
            rows: the number of rows of the grid.
            columns: the number of columns of the grid.
        """
        return (
            _touched(rows, self.size, self.top, self.inner_height),
            _touched(columns, self.size, self.left, self.inner_width),
        )


def letterbox_image(image: Image.Image, size: int, *, antialias: bool = True) -> tuple[Image.Image, Letterbox]:
    """Resize an image (bilinear) and centre it on a grey square.

    Args:
        image: an RGB image.
        size: the side length of the square, pixels.
        antialias: when shrinking, average over all original pixels that a new pixel covers. Without it only the four
            nearest ones are interpolated, as in QueryMatch, which uses cv2.resize.

    Returns:
        The square, and the position of the image in it.
    """
    box = Letterbox.of(image.width, image.height, size)
    square = Image.new("RGB", (size, size), (PADDING_GREY,) * 3)
    if antialias:
        inner = image.resize((box.inner_width, box.inner_height), Image.Resampling.BILINEAR)
    else:
        inner = Image.fromarray(_resize_between_four(np.asarray(image), box.inner_width, box.inner_height))
    square.paste(inner, (box.left, box.top))
    return square, box


def _resize_between_four(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resize (h, w, 3) pixels, interpolating between the four nearest pixels, as cv2.INTER_LINEAR does.

    cv2 rounds its weights to 1/2048, so its values may differ by one.
    """
    rows, columns = pixels.shape[:2]
    above, below, down = _taps(slice(0, rows), 1.0, 0, rows, height)
    before, after, right = _taps(slice(0, columns), 1.0, 0, columns, width)
    down, right = down[:, None, None], right[:, None]
    tall = pixels[above] * (1 - down) + pixels[below] * down
    return np.rint(tall[:, before] * (1 - right) + tall[:, after] * right).astype(np.uint8)


def mask_to_original(logits: NDArray[np.floating], box: Letterbox) -> NDArray[np.bool_]:
    """Return the mask at the original image's size, given the detector's mask logits for the square.

    The centre of each original pixel is mapped to the grid of logits, and its logit is interpolated bilinearly from
    the four nearest cells. Cells that contain only padding are not used. A pixel belongs to the mask if its logit is
    above 0 (a probability above 1/2). The logits are interpolated only once, directly to the original size, and only
    where a cell above 0 is among the four.

    Args:
        logits: (h, w), one logit per grid cell of the square.
        box: the position of the image in the square.

    Returns:
        (height, width), in Fortran order, which is the order of COCO's run lengths.
    """
    rows, columns = logits.shape
    row_cells, column_cells = box.inner_cells(rows, columns)
    above, below, down = _taps(row_cells, rows / box.size, box.top, box.inner_height, box.height)
    before, after, right = _taps(column_cells, columns / box.size, box.left, box.inner_width, box.width)
    positive = logits > 0
    row_has = np.asarray(positive[:, column_cells].any(axis=1))
    column_has = np.asarray(positive[row_cells].any(axis=0))
    y, x = _extent(row_has[above] | row_has[below]), _extent(column_has[before] | column_has[after])
    above, below, down = above[y], below[y], down[y]
    before, after, right = before[x], after[x], right[x, None]
    # Transposed, so that the second and larger gather, over columns, copies contiguous lines.
    grid = np.ascontiguousarray(logits.T, dtype=np.float32)
    tall = grid[:, above] * (1 - down) + grid[:, below] * down
    wide, further = tall[before], tall[after]
    wide *= 1 - right  # in place: these are large
    further *= right
    wide += further
    transposed = np.zeros((box.width, box.height), np.bool_)
    np.greater(wide, 0, out=transposed[x, y])
    return transposed.T


def _extent(occupied: ArrayLike) -> slice:
    """Return the places from the first to the last occupied one; an empty slice if there is none."""
    places = np.flatnonzero(occupied)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def _touched(cells: int, size: int, offset: int, inner: int) -> slice:
    first = offset * cells // size
    end = -(-(offset + inner) * cells // size)
    return slice(first, max(end, first + 1))


def _taps(
    cells: slice, cells_per_pixel: float, offset: int, inner: int, length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the two cells to interpolate for each of `length` pixels along an axis, and the second cell's weight."""
    centres = (offset + (np.arange(length) + 0.5) * (inner / length)) * cells_per_pixel - 0.5
    centres = centres.clip(cells.start, cells.stop - 1)
    low = np.floor(centres).astype(np.intp)
    high = np.minimum(low + 1, cells.stop - 1)
    return low, high, (centres - low).astype(np.float32)


def encode_mask(mask: NDArray[np.bool_]) -> RLE:
    """Return COCO's compressed run lengths of a (height, width) mask. This is fastest for Fortran order."""
    encoded = coco_mask.encode(np.asfortranarray(mask).view(np.uint8))
    return RLE(size=[int(side) for side in encoded["size"]], counts=encoded["counts"])


def decode_mask(rle: RLE) -> NDArray[np.bool_]:
    """Return the (height, width) mask, in Fortran order, of COCO's compressed run lengths."""
    return cast("NDArray[np.bool_]", coco_mask.decode(rle).view(np.bool_))


def largest_component_box(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the bounding box of the mask's largest 8-connected component; QueryMatch uses the largest contour.

    The largest component has the most pixels. Of equally large ones, the first in column-major order is used.

    Args:
        mask: (height, width), not empty.

    Returns:
        (4,) xyxy pixels.

    Raises:
        ValueError: the mask is empty.
    """
    from scipy import ndimage  # here, so that help is quick

    x, y = _extent(mask.any(axis=0)), _extent(mask.any(axis=1))
    if x.stop == 0:
        raise ValueError("an empty mask has no bounding box")
    labelled, count = ndimage.label(mask.T[x, y], structure=_EIGHT_NEIGHBOURS)
    if count > 1:
        largest = labelled == 1 + int(np.bincount(labelled.ravel())[1:].argmax())
        columns, rows = _extent(largest.any(axis=1)), _extent(largest.any(axis=0))
        x, y = (slice(whole.start + part.start, whole.start + part.stop) for whole, part in ((x, columns), (y, rows)))
    return np.array([x.start, y.start, x.stop, y.stop], dtype=np.float32)


def xywh_to_xyxy(boxes: ArrayLike) -> NDArray[np.float64]:
    """Convert COCO boxes, (..., 4) x, y, width, height, to x1, y1, x2, y2."""
    left_top, extent = np.split(np.asarray(boxes, dtype=np.float64), 2, axis=-1)
    return np.concatenate([left_top, left_top + extent], axis=-1)


def box_iou(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Return the IoU of each box in `first` with each box in `second`; 0 if both boxes are empty.

    Args:
        first: (N, 4) xyxy pixels.
        second: (M, 4) xyxy pixels.

    Returns:
        (N, M).
    """
    a = np.asarray(first, dtype=np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, dtype=np.float64).reshape(1, -1, 4)
    shared = np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1)
    intersection = _areas(shared)
    union = _areas(a) + _areas(b) - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1], dtype=np.float64)


def mask_iou(first: Sequence[RLE], second: Sequence[RLE]) -> NDArray[np.float64]:
    """Return the IoU of each mask in `first` with each mask in `second`.

    Args:
        first: N masks.
        second: M masks of the same size.

    Returns:
        (N, M).

    Raises:
        ValueError: the masks' sizes differ.
    """
    _require_one_size([*first, *second])
    if not first or not second:
        return np.zeros((len(first), len(second)))
    iou = np.asarray(coco_mask.iou(list(first), list(second), [0] * len(second)), dtype=np.float64)
    return iou.reshape(len(first), len(second))


def merge_masks(masks: Sequence[RLE]) -> RLE:
    """Return the union of masks of one size; of a single mask, the mask itself.

    Args:
        masks: at least one mask.
    """
    if len(masks) == 1:
        return masks[0]
    _require_one_size(masks)
    merged = coco_mask.merge(list(masks))
    return RLE(size=list(merged["size"]), counts=merged["counts"])


def mask_overlap(first: RLE, second: RLE) -> tuple[int, int]:
    """Return the intersection and the union of two masks of the same size, in pixels, as needed for oIoU.

    Raises:
        ValueError: the masks' sizes differ.
    """
    _require_one_size([first, second])
    intersection = int(coco_mask.area(coco_mask.merge([first, second], intersect=True)))
    return intersection, int(coco_mask.area(first)) + int(coco_mask.area(second)) - intersection


def _require_one_size(masks: Sequence[RLE]) -> None:
    sizes = sorted({tuple(mask["size"]) for mask in masks})
    if len(sizes) > 1:
        raise ValueError(f"cannot compare masks of different sizes (height, width): {sizes}")
