"""The thread that draws answers and makes files of them: one at a time, and each before its deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aligncat.serving.refusals import late

T = TypeVar("T")


class OneThread:
    """Makes what the page shows of answers.

    A photo of 64 million pixels with masks for many phrases can take minutes. With a thread of its own, that work
    holds up neither other routes, which share the threads of asyncio, nor more memory than one photo needs.
    """

    def __init__(self) -> None:
        """Prepare the thread, which the first work starts."""
        self._pool = ThreadPoolExecutor(1, "aligncat page")

    async def make(self, make: Callable[[], T], *, seconds: float, expires: float) -> T:
        """Return what a function returns, if it is there before a deadline.

        Args:
            make: what is done. It is not begun after the deadline; begun before, it goes on in vain.
            seconds: how long the client waits in all.
            expires: the deadline, on the clock of `time.monotonic`.

        Raises:
            Refusal: it is not there in time.
        """
        try:
            async with asyncio.timeout(max(expires - time.monotonic(), 0)):
                return await asyncio.get_running_loop().run_in_executor(self._pool, make)
        except TimeoutError:
            raise late(seconds) from None
