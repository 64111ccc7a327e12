"""Check compressed run lengths from files, before pycocotools reads them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_BYTES_AT_ONCE = 2**17
_MOST_DIGITS = 7  # 35 bits, and 64 million pixels take 27


def cover_their_images(counts: Sequence[bytes], pixels: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which masks have run lengths that are well-formed and cover exactly the pixels of their image.

    pycocotools checks neither: it reads beyond the end of a string that stops in the middle of a number, and
    uninitialized memory where the runs cover too few pixels. The format is that of its function rleToString: a run is
    a signed base-32 number, lowest digit first, in characters from 48 on, and all digits but the last have 32 added.
    From the fourth run on, the number is the difference from the run two positions before.

    Args:
        counts: the `counts` of M masks.
        pixels: the number of pixels of each mask's image.

    Returns:
        (M,)
    """
    lengths = np.array([len(each) for each in counts], np.int64)
    groups = np.cumsum(lengths) // _BYTES_AT_ONCE
    borders = [0, *(np.flatnonzero(np.diff(groups)) + 1).tolist(), len(counts)]
    parts = [
        _cover(counts[start:end], lengths[start:end], np.asarray(pixels[start:end], np.int64))
        for start, end in pairwise(borders)
    ]
    return np.concatenate([np.zeros(0, np.bool_), *parts])


def _cover(counts: Sequence[bytes], lengths: NDArray[np.int64], pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    fine = lengths > 0
    digits = np.frombuffer(b"".join(counts), np.uint8).astype(np.int64) - 48
    if not len(digits):
        return fine
    of_digit = np.repeat(np.arange(len(counts)), lengths)
    fine[of_digit[(digits < 0) | (digits >= 64)]] = False
    is_last = digits & 32 == 0
    final = np.cumsum(lengths)[lengths > 0] - 1
    fine[of_digit[final[~is_last[final]]]] = False
    is_last[final] = True  # so that no number reaches into the next mask

    ends = np.flatnonzero(is_last)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1])
    sizes = np.minimum(ends - starts + 1, _MOST_DIGITS + 1)
    of_number = of_digit[ends]
    fine[of_number[sizes > _MOST_DIGITS]] = False
    shifts = 5 * np.minimum(np.arange(len(digits)) - starts[np.cumsum(is_last) - is_last], _MOST_DIGITS)
    numbers = np.add.reduceat((digits & 31) << shifts, starts) - np.where(digits[ends] & 16, 1 << 5 * sizes, 0)

    # The first run stands by itself. Each other run is the sum of the numbers at every second place up to its own.
    place = np.arange(len(ends)) - _first_of_mask(of_number)
    runs = numbers.copy()
    for parity in (0, 1):
        chain = np.flatnonzero((place > 0) & (place % 2 == parity))
        sums = np.cumsum(numbers[chain])
        first = _first_of_mask(of_number[chain])
        runs[chain] = sums - sums[first] + numbers[chain][first]
    fine[of_number[runs < 0]] = False
    return np.asarray(fine & (np.bincount(of_number, runs, len(counts)) == pixels))


def _first_of_mask(of_item: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each item, the place of the first item of its mask. The items of a mask follow each other."""
    many = np.bincount(of_item)
    return (np.cumsum(many) - many)[of_item]
