"""How many threads OMP_NUM_THREADS allows."""

from __future__ import annotations

import os

import pytest

from aligncat.threads import usable_cores, wanted_threads


def test_the_usable_cores_are_those_that_this_process_is_held_to() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert usable_cores() == len(before)


@pytest.mark.parametrize(("said", "threads"), [("3", 3), ("4,2", 4), (" 5 , 1", 5), ("16,", 16)])
def test_the_first_number_counts(monkeypatch: pytest.MonkeyPatch, said: str, threads: int) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert wanted_threads() == threads


@pytest.mark.parametrize("said", [None, "", "0", "-2", "many", ",4", "1.5", "\u00b2", "\uff14"])
def test_otherwise_it_is_the_usable_cores(monkeypatch: pytest.MonkeyPatch, said: str | None) -> None:
    if said is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert wanted_threads() == usable_cores()
