"""The driver: gives tasks to workers, and gives the tasks of those that die or do not return to others.

It holds no more than one task for each worker in flight, so that neither it nor Ray keeps a list of millions.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from aligncat.cluster.workers import Died, Done, Failed, Ready, Workers
from aligncat.errors import ConfigError, WorkerError

ATTEMPTS = 3
"""How often a task is begun, and a worker started, before the driver gives up."""
_STEP = 1.0  # seconds between two looks at the clock

logger = logging.getLogger(__name__)


class Driver:
    """Runs tasks on workers of one job. Use it as a context manager, which ends the workers.

    Args:
        workers: the workers.
        count: the most workers to start, at least 1. No more are started than there are tasks.
        deadline: seconds that a worker has for one task, and the first one for its start, more than 0. A worker that
            takes longer is ended.
    """

    def __init__(self, workers: Workers, *, count: int, deadline: float) -> None:
        self._workers = workers
        self._count = count
        self._deadline = deadline
        self._idle: list[int] = []
        self._starting: dict[int, float] = {}  # worker -> since when
        self._busy: dict[int, tuple[int, float]] = {}  # worker -> its task, and since when
        self._waiting: deque[int] = deque()  # tasks
        self._begun: Counter[int] = Counter()  # task -> how often it was given to a worker
        self._failed_starts = 0
        self._what = "task"
        self._greeting: object = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.close()

    def greeting(self) -> Any:
        """Start the first worker if none is there, and return what it says of itself.

        Raises:
            WorkerError: it died again and again, or did not start in time.
            Exception: what hindered it.
        """
        while self._greeting is None:
            if not self._starting:
                self._start(0)
            for _ in self._next():
                pass
        return self._greeting

    def run(self, numbers: Sequence[int], task_of: Callable[[int], object], *, what: str) -> Iterator[Any]:
        """Yield the results of tasks as they come, in any order.

        Args:
            numbers: the numbers of the tasks.
            task_of: returns the task that has a number, when a worker is free for it.
            what: what a task is called in messages, such as "shard".

        Raises:
            WorkerError: workers died or did not return at the same task, or did not start, `ATTEMPTS` times.
            Exception: what a task raised. The other workers are ended then, but what they have written stays.
        """
        self._waiting, self._what = deque(numbers), what
        self._begun.clear()
        while self._waiting or self._busy:
            self._start_more()
            while self._idle and self._waiting:
                worker, number = self._idle.pop(), self._waiting.popleft()
                self._begun[number] += 1
                self._busy[worker] = (number, time.monotonic())
                self._workers.send(worker, task_of(number))
            yield from self._next()

    def _start_more(self) -> None:
        """Start workers for the tasks that wait."""
        for worker in range(self._count):
            if len(self._idle) + len(self._starting) >= len(self._waiting):
                return
            if worker not in self._busy and worker not in self._starting and worker not in self._idle:
                self._start(worker)

    def _start(self, worker: int) -> None:
        self._starting[worker] = time.monotonic()
        self._workers.start(worker)

    def _next(self) -> Iterator[Any]:
        """Wait for events, yield the results that have come, and look after workers that died or take too long."""
        for event in self._workers.wait(min(_STEP, self._deadline / 4)):
            match event:
                case Ready(worker, greeting):
                    self._welcome(worker, greeting)
                case Done(worker, result):
                    del self._busy[worker]
                    self._idle.append(worker)
                    yield result
                case Failed(_, error):
                    raise error
                case Died(worker):
                    self._lost(worker, "died, perhaps because memory ran out,")
        now = time.monotonic()
        for worker, (_, since) in [*self._busy.items()]:
            if now - since > self._deadline:
                self._workers.stop(worker)
                self._lost(worker, f"did not return within {self._deadline:g} s")
        if self._starting and not self._busy and now - max(self._starting.values()) > self._deadline:
            raise WorkerError(
                f"no worker was ready within {self._deadline:g} s; see whether there is room for one, or give more "
                "time with --deadline"
            )

    def _welcome(self, worker: int, greeting: object) -> None:
        del self._starting[worker]
        self._idle.append(worker)
        self._failed_starts = 0
        if self._greeting is None:
            self._greeting = greeting
        elif greeting != self._greeting:
            raise ConfigError(
                f"a worker is not like the first one, so that their results would differ: it is {greeting}, and the "
                f"first is {self._greeting}; install the same versions on all machines, and use one kind of device"
            )

    def _lost(self, worker: int, what: str) -> None:
        """Note that a worker is gone, and put its task first in the queue; `run` starts another worker."""
        if worker in self._idle:
            self._idle.remove(worker)
            return
        if self._starting.pop(worker, None) is not None:
            self._failed_starts += 1
            if self._failed_starts >= ATTEMPTS:
                raise WorkerError(
                    f"{ATTEMPTS} workers one after another {what} at their start; use fewer --workers if memory ran out"
                )
            return
        number, _ = self._busy.pop(worker)
        if self._begun[number] >= ATTEMPTS:
            raise WorkerError(
                f"a worker {what} at {self._what} {number}, {ATTEMPTS} times; what else is done is kept, and the same "
                "command continues. Use fewer --workers if memory ran out, or give more time with --deadline"
            )
        logger.warning("a worker %s at %s %s; another one does it again", what, self._what, number)
        self._waiting.appendleft(number)
