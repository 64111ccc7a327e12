"""What the driver needs of workers, whether they are processes of this machine or Ray's actors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Ready(NamedTuple):
    """A worker has started; `greeting` is what it says of itself."""

    worker: int
    greeting: object


class Done(NamedTuple):
    """A worker has done its task; `result` is the result."""

    worker: int
    result: object


class Failed(NamedTuple):
    """A worker could not start or do its task; `error` says why."""

    worker: int
    error: Exception


class Died(NamedTuple):
    """A worker does not live any more."""

    worker: int


Event = Ready | Done | Failed | Died


class Workers(Protocol):
    """Workers of one job, by number. The driver starts a number again after its worker has died."""

    def start(self, worker: int) -> None:
        """Start a worker; `wait` tells when it is ready."""

    def send(self, worker: int, task: object) -> None:
        """Give a task to a worker that is ready and has none."""

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return what has happened, as soon as something has; nothing if that takes longer than some seconds."""

    def stop(self, worker: int) -> None:
        """End a worker at once, whatever it does. No event tells of it."""

    def close(self) -> None:
        """End all workers."""
