"""The outlines of masks as polygons, for tools that do not read run lengths. They need the extra [polygons]."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import ConfigError

TOLERANCE = 1.0
"""How far a polygon may be from the outline of its mask, in pixels. With 0, each step of a slope has two corners."""
_FINER = 2  # OpenCV's outlines run through the middles of pixels; those of finer pixels are nearer to the border


def check_polygons() -> None:
    """Check that polygons can be made.

    Raises:
        ConfigError: OpenCV is not installed.
    """
    if find_spec("cv2") is None:
        raise ConfigError("--polygons needs OpenCV, which is not installed; run pip install 'aligncat[polygons]'")


def mask_polygons(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Return the outlines of the parts of a mask, the largest part first. Holes are filled.

    Args:
        mask: (height, width).

    Returns:
        For each part the corners of a polygon, (n, 2) x and y in pixels with n at least 3; empty for an empty mask.
    """
    import cv2

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return []
    top, left = rows[0], columns[0]
    inside = mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.uint8)
    fine = inside.repeat(_FINER, axis=0).repeat(_FINER, axis=1)
    outlines, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in sorted(outlines, key=cv2.contourArea, reverse=True):
        simple = cv2.approxPolyDP(outline, _FINER * TOLERANCE, True)
        corners = np.asarray(simple if len(simple) >= 3 else outline, np.float64).reshape(-1, 2)
        found.append((corners + 0.5) / _FINER + (left, top))  # 0.5: to the middle of a fine pixel
    return found
