"""Read Label Studio's run lengths of a mask, written from the description of @thi.ng/rle-pack, bit by bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def read_brush(run_lengths: Sequence[int], height: int, width: int) -> NDArray[np.uint8]:
    """Return the opacity of every pixel, (height, width), from 0 to 255."""
    bits = iter("".join(f"{byte:08b}" for byte in run_lengths))

    def number(count: int) -> int:
        return int("".join(next(bits) for _ in range(count)), 2)

    values = number(32)
    value_bits = number(5) + 1
    lengths = [number(4) + 1 for _ in range(4)]
    found: list[int] = []
    while len(found) < values:
        is_run = number(1)
        count = number(lengths[number(2)]) + 1
        found += [number(value_bits)] * count if is_run else [number(value_bits) for _ in range(count)]
    pixels = np.array(found, np.uint8).reshape(height, width, 4)
    assert (pixels == pixels[:, :, :1]).all(), "the channels of a mask are equal"
    return pixels[:, :, 3]
