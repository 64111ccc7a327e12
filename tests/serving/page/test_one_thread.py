"""The thread that draws answers: one work at a time, and none after its deadline."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
from helpers.served import png

from aligncat.grounder.ground_many import Answering
from aligncat.grounder.grounder import Grounder
from aligncat.serving.device_queue import Question
from aligncat.serving.page.one_thread import OneThread
from aligncat.serving.refusals import Refusal


@pytest.fixture
def free(tiny_detector: Path) -> Grounder:
    return Grounder.from_pretrained("training-free", detector=tiny_detector)


def question(grounder: Grounder, seconds: float) -> Question:
    return Question(grounder, png(), 1920, ["red dog"], Answering(), seconds, time.monotonic() + seconds)


def test_slow_drawing_is_refused_and_holds_nothing_else(free: Grounder) -> None:
    go, drawn = threading.Event(), []

    def slow() -> str:
        assert go.wait(60)
        drawn.append("slow")
        return "slow"

    async def ask() -> None:
        thread = OneThread()
        waits = [thread.make(question(free, 0.2), slow)]
        waits += [thread.make(question(free, 0.2), lambda: drawn.append("never")) for _ in range(50)]
        found = asyncio.gather(*waits, return_exceptions=True)
        assert await asyncio.to_thread(lambda: "elsewhere") == "elsewhere"
        refusals = await found
        assert {(each.status, each.code) for each in refusals if isinstance(each, Refusal)} == {(408, "deadline")}
        assert len(refusals) == 51
        go.set()
        assert await thread.make(question(free, 60), lambda: "next") == "next"

    asyncio.run(ask())
    assert drawn == ["slow"]


def test_what_fails_is_raised(free: Grounder) -> None:
    async def ask() -> None:
        await OneThread().make(question(free, 60), lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())


def test_what_gives_up_at_the_deadline_is_late(free: Grounder) -> None:
    def give_up() -> None:
        raise TimeoutError

    async def ask() -> None:
        await OneThread().make(question(free, 60), give_up)

    with pytest.raises(Refusal, match="not answered within 60 seconds"):
        asyncio.run(ask())
