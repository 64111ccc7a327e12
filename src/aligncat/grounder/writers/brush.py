"""Label Studio's run lengths of a mask, which are not COCO's.

They are the bits of the npm package @thi.ng/rle-pack: 32 bits with the number of values, 5 bits with the length of a
value less 1, four times 4 bits with the lengths of a run's length less 1; then runs. A run is a 1, two bits that choose
one of the four lengths, the number of values less 1 in so many bits, and the value. The values are red, green, blue and
opacity of every pixel, row by row, 8 bits each; all four are 255 inside the mask and 0 outside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LENGTHS = (3, 4, 8, 16)  # bits of a run's length
_VALUE_BITS = 8
_CHANNELS = 4


def brush_run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return the run lengths of a mask as Label Studio keeps them in "rle": the bytes, each from 0 to 255.

    Args:
        mask: (height, width).
    """
    flat = mask.ravel()
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]]))
    runs = np.diff(np.append(starts, flat.size)) * _CHANNELS
    header = f"{flat.size * _CHANNELS:032b}{_VALUE_BITS - 1:05b}{''.join(f'{bits - 1:04b}' for bits in _LENGTHS)}"
    bits = "".join([header, *(_run(length, flat[start]) for start, length in zip(starts, runs.tolist(), strict=True))])
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    return list(int(padded, 2).to_bytes(len(padded) // 8, "big"))


def _run(length: int, inside: np.bool_) -> str:
    """Return the bits of equal values; a run that is too long for 16 bits becomes several."""
    value = "1" * _VALUE_BITS if inside else "0" * _VALUE_BITS
    longest = 2 ** _LENGTHS[-1]
    whole, rest = divmod(length, longest)
    lengths = [longest] * whole + ([rest] if rest else [])
    return "".join(f"1{_choice(each):02b}{each - 1:0{_LENGTHS[_choice(each)]}b}{value}" for each in lengths)


def _choice(length: int) -> int:
    return next(number for number, bits in enumerate(_LENGTHS) if length <= 2**bits)
