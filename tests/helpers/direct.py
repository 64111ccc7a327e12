"""A slow, independent implementation from a detector's mask logits to a photo's mask and box, for comparison."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray


def photo_logits(logits: NDArray[Any], width: int, height: int, size: int) -> NDArray[np.float64]:
    """Return the logits at every pixel of a letterboxed (width, height) photo, interpolated between four neighbours."""
    cells = len(logits)
    longest = max(width, height)
    inner = (int(width * size / longest + 1e-9), int(height * size / longest + 1e-9))
    pad = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    axes = []
    for length, inside, before in zip((width, height), inner, pad, strict=True):
        square = before + (np.arange(length) + 0.5) / length * inside
        first = int(np.floor(before / size * cells))
        last = int(np.ceil((before + inside) / size * cells)) - 1
        axes.append((np.clip(square / size * cells - 0.5, first, last), last))
    (x, last_x), (y, last_y) = axes
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    x1, y1 = np.minimum(x0 + 1, last_x), np.minimum(y0 + 1, last_y)
    right, down = (x - x0)[None, :], (y - y0)[:, None]
    values = logits.astype(np.float64)
    between: NDArray[np.float64] = (
        values[np.ix_(y0, x0)] * (1 - right) * (1 - down)
        + values[np.ix_(y0, x1)] * right * (1 - down)
        + values[np.ix_(y1, x0)] * (1 - right) * down
        + values[np.ix_(y1, x1)] * right * down
    )
    return between


def largest_component(mask: NDArray[np.bool_]) -> list[int]:
    """Return the box of the largest 8-connected component; ties go to the leftmost, then to the topmost."""
    height, width = mask.shape
    left = mask.copy()
    best: list[tuple[int, int]] = []
    for x0, y0 in np.argwhere(mask.T):
        if not left[y0, x0]:
            continue
        left[y0, x0] = False
        queue, component = deque([(int(y0), int(x0))]), []
        while queue:
            y, x = queue.popleft()
            component.append((y, x))
            for ny in range(max(y - 1, 0), min(y + 2, height)):
                for nx in range(max(x - 1, 0), min(x + 2, width)):
                    if left[ny, nx]:
                        left[ny, nx] = False
                        queue.append((ny, nx))
        best = max(best, component, key=len)
    ys, xs = zip(*best, strict=True)
    return [min(xs), min(ys), max(xs) + 1, max(ys) + 1]
