"""The stages of a long command: a heading for each, and how long the rest is likely to take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.progress import ProgressColumn
from rich.table import Column
from rich.text import Text

from aligncat.console import in_every_bar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Task

_DONE_BEFORE = 0.1
"""A stage that takes less than this share of its usual time was done before an interruption, and says no speed."""


@dataclass(frozen=True)
class Stage:
    """A part of a command.

    Attributes:
        title: what it does.
        seconds: its usual time on some machine. Only the ratios of the stages' times count once one has run.
        has_bar: a single progress bar shows the whole of it.
    """

    title: str
    seconds: float
    has_bar: bool = False


class Stages:
    """Runs the stages of a command in their order, and tells the time that has passed and the time that is left."""

    def __init__(
        self, stages: Sequence[Stage], console: Console, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Start the clock.

        Args:
            stages: the stages, in order.
            console: where their headings and times are printed.
            clock: returns the time in seconds.
        """
        self._stages = stages
        self._console = console
        self._clock = clock
        self._started = self._stage_started = clock()
        self._index = -1
        self._took = self._usual = 0.0  # of the stages that ran, seconds

    @property
    def passed(self) -> float:
        """The time since the start, in seconds."""
        return self._clock() - self._started

    @contextmanager
    def next(self) -> Iterator[None]:
        """Run the next stage: print a heading before it and its time after it. Bars in it show the times of all."""
        self._index += 1
        self._stage_started = self._clock()
        stage = self._stages[self._index]
        self._console.rule(f"{self._index + 1}/{len(self._stages)} {stage.title} ({self.summary()})")
        with in_every_bar(lambda: _Times(self)):
            yield
        took = self._clock() - self._stage_started
        self._took, self._usual = self._speed(stage, took)
        self._console.print(f"{stage.title}: {took:.1f} s")

    def summary(self, share: float | None = None) -> str:
        """Return the time that has passed and the time that is left, as text."""
        return f"{_clock_time(self.passed)} passed, about {_clock_time(self.left(share))} left"

    def left(self, share: float | None = None) -> float:
        """Return the likely time until the end of the last stage, in seconds.

        Args:
            share: the part of the current stage that is done, from 0 to 1, if it is known.
        """
        stage, passed = self._stages[self._index], self._clock() - self._stage_started
        if share and stage.has_bar:
            whole = passed / share
        else:
            whole = max(passed, stage.seconds * (self._took / self._usual if self._usual else 1.0))
        took, usual = self._speed(stage, whole)
        rest = sum(each.seconds for each in self._stages[self._index + 1 :])
        return whole - passed + rest * (took / usual if usual else 1.0)

    def _speed(self, stage: Stage, seconds: float) -> tuple[float, float]:
        """Return the seconds of all stages so far and of one more, and those that they usually take."""
        if seconds <= _DONE_BEFORE * stage.seconds:
            return self._took, self._usual
        return self._took + seconds, self._usual + stage.seconds


def _clock_time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class _Times(ProgressColumn):
    """The times of all stages, beside the progress bar of one."""

    def __init__(self, stages: Stages) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._all = stages

    def render(self, task: Task) -> Text:
        return Text(f"(in all {self._all.summary(task.completed / task.total if task.total else None)})")
