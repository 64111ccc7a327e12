"""The benchmark of an accelerator, rehearsed on the CPU with tiny sizes, and what stops a part."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.benchmark_scripts import script

accelerator = script("accelerator")
SLOW = {"swin-tiny-compiled", "swin-base-compiled"}  # dynamo alone takes ten seconds
FIRST = script("measuring").Figure("first", 1.0, "s")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in accelerator.PARTS]
)
def test_every_part_runs(name: str) -> None:
    part, budget = accelerator.PARTS[name]
    found = list(part(accelerator.tiny_sizes(), accelerator.Device("cpu")))
    assert found and budget > 0
    for figure in found:
        assert figure.what and math.isfinite(figure.value) and figure.value >= 0
        assert figure.limit is None or figure.limit > 0


def test_the_budgets_fit_into_nine_minutes() -> None:
    assert sum(budget for _, budget in accelerator.PARTS.values()) <= accelerator.TOTAL < 9 * 60


def sleeps(*_: Any) -> Iterator[object]:
    yield FIRST
    time.sleep(600)


def fails(*_: Any) -> Iterator[object]:
    yield FIRST
    raise MemoryError("the device is full")


def dies(*_: Any) -> Iterator[object]:
    yield FIRST
    os._exit(3)


def ends(*_: Any) -> Iterator[object]:
    yield FIRST


@pytest.mark.parametrize(
    ("part", "budget", "reason"),
    [
        (sleeps, 8, "it needs more than its 8 s"),
        (fails, 300, "MemoryError: the device is full"),
        (dies, 300, "its process ended with code 3"),
        (ends, 300, None),
    ],
)
def test_a_part_that_does_not_finish_keeps_its_figures_and_says_why(
    part: Callable[..., Iterator[object]], budget: float, reason: str | None
) -> None:
    started = time.monotonic()
    found, why = accelerator.run_part(part, budget, None, None)
    assert why == reason
    assert time.monotonic() - started < 300
    if part is not sleeps:  # a slow machine may not even start it in its seconds
        assert found == [FIRST]


def test_a_part_for_which_no_time_is_left_is_not_started() -> None:
    assert accelerator.run_part(dies, 0, None, None) == ([], "no time was left for it")
