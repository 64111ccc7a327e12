"""Read the boxes of annotation files, and refuse numbers that mean something else than the format says.

Numbers alone do not show whether a box is in pixels, in fractions of the photo or in thousandths of it. A box that
cannot be what the format says is an error, which names the reading that fits it (`--data.boxes`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats import UNSAID, BoxForm, DeclaredForm
from aligncat.datasets.formats.canvas import ROUNDING, Canvas, is_coordinate
from aligncat.errors import BoxError, ConfigError, DataError
from aligncat.types import Truth

_MEANINGS: dict[BoxForm, str] = {
    "xyxy": "[x1, y1, x2, y2] in pixels",
    "xywh": "[x, y, width, height] in pixels",
    "fraction": "[x1, y1, x2, y2] in fractions of the photo, from 0 to 1",
    "thousandths": "[x1, y1, x2, y2] in thousandths of the photo, from 0 to 1000",
    "padded": "[x1, y1, x2, y2] in fractions of the square that the photo is padded to, from 0 to 1",
}


@dataclass(frozen=True)
class BoxNumbers:
    """What the four numbers of a box in a file mean.

    Attributes:
        form: their order and unit.
        fixed: whether the format decides the form, so that no option changes it.
        chosen: whether the user named the form. Whole numbers from 0 to 1 then count as pixels.
    """

    form: BoxForm
    fixed: bool = True
    chosen: bool = False

    @classmethod
    def of(cls, config: DataConfig, of_row: DeclaredForm | None = None) -> BoxNumbers:
        """Return the meaning in a dataset of a format that leaves a choice: the configured one, or the usual one.

        Args:
            config: the dataset.
            of_row: what a row itself says, which counts before what is usual. Where rows of a dataset differ, so that
                there is no usual form, it also counts before the configured one, which is for the other rows.

        Raises:
            ConfigError: nothing says what the numbers are.
        """
        record = format_of(config)
        if record.boxes == UNSAID and of_row is not None and of_row != UNSAID:
            return _numbers(of_row, config.boxes == of_row)
        form = config.boxes or of_row or record.boxes
        assert form is not None, config.file_format
        if form == UNSAID:
            advice = "" if record.dialect is None else f": {record.dialect.advice}"
            raise ConfigError(
                f"{config.path}: format {config.file_format} does not say what the numbers of its boxes are; give "
                f"--data.boxes {', '.join(_MEANINGS)}{advice}"
            )
        return _numbers(form, config.boxes is not None)

    @property
    def in_pixels(self) -> bool:
        """Whether the numbers are pixels, so that `to_pixels` needs no size."""
        return self.form in ("xyxy", "xywh")

    def __str__(self) -> str:
        return _MEANINGS[self.form]

    def to_pixels(self, box: Sequence[float], width: int, height: int) -> list[float]:
        """Return four numbers of a file as x1, y1, x2, y2 in pixels.

        Args:
            box: the four numbers.
            width: the image's width, pixels.
            height: the image's height, pixels.
        """
        x1, y1, x2, y2 = map(float, box)
        if self.form == "xywh":
            return [x1, y1, x1 + x2, y1 + y2]
        if self.form == "xyxy":
            return [x1, y1, x2, y2]
        if self.form == "padded":
            return _unpadded([x1, y1, x2, y2], width, height)
        unit = 1000 if self.form == "thousandths" else 1
        return [x1 * width / unit, y1 * height / unit, x2 * width / unit, y2 * height / unit]


@lru_cache
def _numbers(form: BoxForm, chosen: bool) -> BoxNumbers:
    return BoxNumbers(form, fixed=False, chosen=chosen)


def _unpadded(box: Sequence[float], width: int, height: int) -> list[float]:
    """Return a box in fractions of a padded photo in pixels of the photo.

    As in LLaVA-1.5, the photo is in the middle of a square of its longer side (`expand2square` in its mm_utils.py).
    Its boxes are rounded to hundredths, so they are cut off at the photo.
    """
    side = max(width, height)
    pixels = []
    for number, length in zip(box, (width, height) * 2, strict=True):
        pixel = number * side - (side - length) // 2
        rounding = _HUNDREDTH * side
        pixels.append(min(max(pixel, 0.0), float(length)) if -rounding <= pixel <= length + rounding else pixel)
    return pixels


_HUNDREDTH = 0.01
CORNER = 1000
"""The largest number of a box in thousandths."""
# Some pixel boxes do lie in the corner of a large photo. So many are unlikely to.
_FEWEST_BOXES = 10
_MUCH_LARGER = 1500  # pixels

XYWH = BoxNumbers("xywh")
"""COCO's boxes (cocodataset.org/#format-data)."""
XYXY = BoxNumbers("xyxy")


def all_in_corner(truths: Collection[Truth]) -> bool:
    """Return whether boxes in pixels could all be thousandths: none reaches beyond pixel 1000 of much larger photos.

    Args:
        truths: referents with their boxes and the sizes of their photos.
    """
    sizes = [truth.size for truth in truths if truth.size is not None]
    if len(sizes) < _FEWEST_BOXES or len(sizes) < len(truths):
        return False
    return (
        min(min(size) for size in sizes) >= _MUCH_LARGER
        and max(truth.boxes.max(initial=0) for truth in truths) <= CORNER
    )


def read_box(value: object, canvas: Canvas, numbers: BoxNumbers) -> NDArray[np.float64]:
    """Read a box.

    Args:
        value: four numbers.
        canvas: the size of its image.
        numbers: what the numbers mean.

    Returns:
        (4,) xyxy pixels. A box that extends beyond the image, by at most a pixel, is not clipped.

    Raises:
        DataError: the value is not four finite numbers.
        BoxError: the box has no area, leaves the image by more than a pixel, or has numbers of another unit.
    """
    if isinstance(value, list | tuple) and value and all(isinstance(part, list | tuple) for part in value):
        raise DataError(
            f"{canvas.where}: {len(value)} boxes, but a phrase refers to one object; write one row for each object"
        )
    if not isinstance(value, list | tuple) or len(value) != 4 or not all(map(is_coordinate, value)):
        raise DataError(f"{canvas.where}: the box must be four finite numbers, {numbers}, not {value!r:.60}")
    if fault := _fault(value, canvas, numbers):
        raise BoxError(f"{canvas.where}: the box {value} {fault}; boxes are {numbers}{_advice(value, canvas, numbers)}")
    return np.array(numbers.to_pixels(value, canvas.width, canvas.height), dtype=np.float64)


def _fault(box: Sequence[float], canvas: Canvas, numbers: BoxNumbers) -> str | None:
    """Return what shows that a box is not what its format says, or None."""
    x1, y1, x2, y2 = numbers.to_pixels(box, canvas.width, canvas.height)
    if numbers.form not in ("fraction", "padded") and any(box) and all(0 <= number <= 1 for number in box):
        meant = numbers.chosen and numbers.in_pixels and all(float(number).is_integer() for number in box)
        if not meant:
            return "has only numbers between 0 and 1, which look like fractions of the photo"
    if x2 <= x1 or y2 <= y1:
        return "has no area"
    image = f"its image of {canvas.width} x {canvas.height} pixels"
    if x1 >= canvas.width or y1 >= canvas.height or x2 <= 0 or y2 <= 0:
        return f"is outside {image}"
    if min(x1, y1) < -ROUNDING or x2 > canvas.width + ROUNDING or y2 > canvas.height + ROUNDING:
        return f"leaves {image}"
    return None


def _advice(box: Sequence[float], canvas: Canvas, numbers: BoxNumbers) -> str:
    """Return how else a box could lie inside its image, as the end of a message."""
    # Every box that fits as a fraction of the photo fits as one of the padded photo too, which is rare.
    others = [form for form in _MEANINGS if form not in (numbers.form, "padded")]
    fitting = [form for form in others if _fault(box, canvas, BoxNumbers(form)) is None]
    advice = []
    if fitting:
        options = {form: "" if numbers.fixed else f" (--data.boxes {form})" for form in fitting}
        readings = " or ".join(f"{_MEANINGS[form]}{option}" for form, option in options.items())
        how = ", but this format has only one form of boxes: write that" if numbers.fixed else ""
        advice.append(f"It would fit its image as {readings}{how}")
    turned = replace(canvas, width=canvas.height, height=canvas.width)
    if canvas.width != canvas.height and numbers.in_pixels and _fault(box, turned, numbers) is None:
        advice.append(
            f"It would fit {turned.width} x {turned.height} pixels: if EXIF turns the photo and the box was drawn on "
            "the photo as stored, remove the photo's EXIF orientation or turn the box"
        )
    return "".join(f". {each}" for each in advice) or " of the original image; correct the box"
