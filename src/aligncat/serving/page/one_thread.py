"""The thread that draws answers and makes files of them: one at a time, and each before its deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aligncat.serving.device_queue import Question
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

    async def make(self, question: Question, make: Callable[[], T]) -> T:
        """Return what a function returns, if it is there before the question's deadline.

        Args:
            question: the question whose answer is used.
            make: what is done. It is not begun after the deadline; begun before, it goes on in vain.

        Raises:
            Refusal: it is not there in time.
        """
        try:
            async with asyncio.timeout(max(question.expires - time.monotonic(), 0)):
                return await asyncio.get_running_loop().run_in_executor(self._pool, make)
        except TimeoutError:
            raise late(question.seconds) from None
