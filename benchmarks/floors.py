"""The least time that a machine needs: the operations of a calculation at the rate of its fastest matrix product."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode


def operations(work: Callable[[], object]) -> int:
    """Return the floating-point operations of the matrix products, convolutions and attentions of a call.

    The other operations are not counted, so a limit from this is a little too low. In a forward pass, no weight may
    require a gradient.
    """
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


class Product:
    """A square matrix product, whose time shows the rate of a processor.

    Args:
        size: rows and columns.
        device: where it runs.
        dtype: the type of the numbers.
    """

    def __init__(self, size: int, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self._first, self._second, self._out = (torch.rand(size, size, device=device).to(dtype) for _ in range(3))
        self._operations = 2 * size**3

    def __call__(self) -> None:
        torch.matmul(self._first, self._second, out=self._out)

    def rate(self, seconds: float) -> float:
        """Return the operations per second, given the time of a call."""
        return self._operations / seconds


class Copy:
    """A copy of a block of memory, whose time shows the rate at which memory is read and written.

    Args:
        size: the bytes of the block, many times those of the caches.
        device: where it lies.
    """

    def __init__(self, size: int, device: str = "cpu") -> None:
        self._from = torch.ones(size, dtype=torch.uint8, device=device)
        self._to = torch.empty_like(self._from)

    def __call__(self) -> None:
        self._to.copy_(self._from)

    def rate(self, seconds: float) -> float:
        """Return the bytes that are read and written per second, given the time of a call."""
        return 2 * self._from.numel() / seconds


def synchronised(work: Callable[[], Any], device: str) -> Callable[[], Any]:
    """Return a function that also waits until the device has finished."""
    if device == "cpu":
        return work

    def run() -> Any:
        found = work()
        torch.cuda.synchronize()
        return found

    return run
