"""Turn the mask logits of a query into the mask and the box of a candidate.

There are two modes:

- `interpolated`: the logits are interpolated once, at the pixels of the original image. The box is that of the piece
  with the most pixels.
- `querymatch`: as in the code of QueryMatch (ACM MM 2024), to compare with its published figures. It needs OpenCV,
  which QueryMatch uses: the extra [querymatch].
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from aligncat.detectors.preprocessing import Preprocessing
from aligncat.errors import ConfigError
from aligncat.geometry import Letterbox, largest_component_box, mask_to_original

MaskMode = Literal["interpolated", "querymatch"]
DEFAULT_MASKS: MaskMode = "interpolated"
NO_MASKS = "none"
"""What the description of a detector that gives boxes alone says in the place of a mode."""
_QUERYMATCH_PREPROCESSING = "letterbox-416-to-800"

MaskAndBox: TypeAlias = tuple[NDArray[np.bool_], NDArray[np.float32]]
"""A mask of the original image's size, (height, width), and its box, (4,) xyxy pixels."""
MaskRule: TypeAlias = Callable[[NDArray[np.float32], Letterbox], MaskAndBox | None]
"""A function with the arguments and the result of `interpolated_mask`."""


def mask_rule(mode: str, preprocessing: Preprocessing) -> MaskRule:
    """Return the function of a mode.

    Args:
        mode: a `MaskMode`.
        preprocessing: how images are converted into the square that the logits cover.

    Raises:
        ConfigError: the mode is unknown, does not fit the preprocessing, or needs a package that is not installed.
    """
    if mode not in get_args(MaskMode):
        raise ConfigError(f"unknown masks {mode!r}; use one of {', '.join(get_args(MaskMode))}")
    if mode == DEFAULT_MASKS:
        return interpolated_mask
    if preprocessing.mode != _QUERYMATCH_PREPROCESSING:
        raise ConfigError(
            f"masks querymatch: QueryMatch's masks depend on its preprocessing, but this is {preprocessing.mode}; set "
            f"preprocessing to {_QUERYMATCH_PREPROCESSING}"
        )
    if find_spec("cv2") is None:
        raise ConfigError(
            "masks querymatch: needs OpenCV, which is not installed; run pip install 'aligncat[querymatch]'"
        )
    return partial(querymatch_mask, side=preprocessing.size)


def interpolated_mask(logits: NDArray[np.float32], place: Letterbox) -> MaskAndBox | None:
    """Return the mask at the original image's size and the box of its largest piece.

    Args:
        logits: (h, w), the mask logits of one query, on a grid over the square.
        place: where the image lies in the square.

    Returns:
        The mask and the box; None if the mask has no pixel in the image.
    """
    mask = mask_to_original(logits, place)
    return (mask, largest_component_box(mask)) if mask.any() else None


def querymatch_mask(logits: NDArray[np.float32], place: Letterbox, *, side: int) -> MaskAndBox | None:
    """Return the mask and the box that QueryMatch's code measures.

    The logits are enlarged to the model's input, shrunk to the letterbox (both bilinear) and thresholded there. The
    mask is the image's part of the letterbox, resized bilinearly as zeros and ones; every pixel above 0 belongs to it,
    so it grows by up to a pixel of the letterbox. The box is the bounding rectangle of the contour with the largest
    polygon area in the letterbox, padding included, mapped to the image and truncated to integers. A polygon runs
    through the centres of pixels, so a hole counts as area and a line of one pixel has none. Of equally large contours,
    OpenCV's last is used. The box can lie partly outside the image.

    Args:
        logits: (h, w), the mask logits of one query, on a grid over the square.
        place: where the image lies in the letterbox.
        side: the side of the model's input, pixels.

    Returns:
        The mask and the box; None if the mask has no pixel in the image.
    """
    import cv2
    import torch
    import torch.nn.functional as F

    grid = torch.from_numpy(np.ascontiguousarray(logits, dtype=np.float32))[None, None]
    for size in (side, place.size):
        grid = F.interpolate(grid, (size, size), mode="bilinear", align_corners=False)
    square = (grid[0, 0] > 0).numpy().astype(np.uint8)
    inner = square[place.top : place.top + place.inner_height, place.left : place.left + place.inner_width]
    mask = cv2.resize(inner.astype(np.float32), (place.width, place.height)) > 0
    if not mask.any():
        return None
    contours, _ = cv2.findContours(square, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    left, top, width, height = cv2.boundingRect(sorted(contours, key=cv2.contourArea)[-1])  # stable: the last of equals
    x1 = (left - place.left) / place.inner_width * place.width
    y1 = (top - place.top) / place.inner_height * place.height
    x2 = x1 + width / place.inner_width * place.width
    y2 = y1 + height / place.inner_height * place.height
    return np.asfortranarray(mask), np.trunc(np.array([x1, y1, x2, y2])).astype(np.float32)
