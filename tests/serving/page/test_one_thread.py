"""The thread that draws answers: one work at a time, and none after its deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from aligncat.serving.page.one_thread import OneThread
from aligncat.serving.refusals import Refusal


async def made(thread: OneThread, make: Callable[[], Any], seconds: float = 60) -> Any:
    return await thread.make(make, seconds=seconds, expires=time.monotonic() + seconds)


def test_slow_drawing_is_refused_and_holds_nothing_else() -> None:
    go, drawn = threading.Event(), []

    def slow() -> str:
        assert go.wait(60)
        drawn.append("slow")
        return "slow"

    async def ask() -> None:
        thread = OneThread()
        waits = [made(thread, slow, 0.2)]
        waits += [made(thread, lambda: drawn.append("never"), 0.2) for _ in range(50)]
        found = asyncio.gather(*waits, return_exceptions=True)
        assert await asyncio.to_thread(lambda: "elsewhere") == "elsewhere"
        refusals = await found
        assert {(each.status, each.code) for each in refusals if isinstance(each, Refusal)} == {(408, "deadline")}
        assert len(refusals) == 51
        go.set()
        assert await made(thread, lambda: "next") == "next"

    asyncio.run(ask())
    assert drawn == ["slow"]


def test_what_fails_is_raised() -> None:
    async def ask() -> None:
        await made(OneThread(), lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())


def test_what_gives_up_at_the_deadline_is_late() -> None:
    def give_up() -> None:
        raise TimeoutError

    async def ask() -> None:
        await made(OneThread(), give_up)

    with pytest.raises(Refusal, match="not answered within 60 seconds"):
        asyncio.run(ask())
