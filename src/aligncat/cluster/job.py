"""What workers do: a job, which is sent to every worker once, and its tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

Task = TypeVar("Task", contravariant=True)
Result = TypeVar("Result", covariant=True)


class Started(NamedTuple):
    """What a worker has after its start.

    Attributes:
        greeting: what it tells the driver of itself. All workers of a job must tell the same.
        work: does one task, and returns its result.
    """

    greeting: object
    work: Callable[..., object]


class Job(Protocol):
    """A job. It is sent to other processes, so it and its tasks and results can be pickled, and are small.

    A task writes one file under a name of its own, whole or not at all, and may be done again at any time.
    """

    def start(self) -> Started:
        """Load what all tasks need, such as a detector."""
