"""Workers that are processes of this machine."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pickle import PicklingError
from threading import Thread
from typing import TYPE_CHECKING

from aligncat.cluster.job import Job
from aligncat.cluster.workers import Died, Done, Event, Failed, Ready
from aligncat.errors import ConfigError
from aligncat.processes import end_with_parent, interrupts_blocked, portable_error
from aligncat.signals import signals_held, stop_signals, stopped_status
from aligncat.threads import THREADS, wanted_threads
from aligncat.wording import first_line

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_PATIENCE = 5.0  # seconds that a worker has to end by itself


class ProcessWorkers:
    """`Workers` that are processes of this machine.

    Args:
        job: the job.
        count: the number of workers, which share the processor's cores.
    """

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._threads = max(1, wanted_threads() // count)
        self._processes: dict[int, SpawnProcess] = {}
        self._connections: dict[int, Connection] = {}
        self._started: set[int] = set()

    def start(self, worker: int) -> None:
        """Start a worker.

        Raises:
            ConfigError: the job cannot be sent to another process.
        """
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._job, self._threads), daemon=True)
        with signals_held(), interrupts_blocked():
            try:
                process.start()
            except (PicklingError, TypeError, AttributeError) as error:
                raise ConfigError(
                    f"the work cannot be sent to other processes ({first_line(error)}); give the detector by its name "
                    "or folder instead of as an object, or leave out --workers"
                ) from error
            finally:
                theirs.close()
        self._processes[worker], self._connections[worker] = process, ours
        self._started.discard(worker)

    def send(self, worker: int, task: object) -> None:
        """Give a task to a worker."""
        with suppress(OSError):  # it is dead, and `wait` says so
            self._connections[worker].send(task)

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return what has happened."""
        numbers = {connection: worker for worker, connection in self._connections.items()}
        return [self._event(numbers[each]) for each in wait([*numbers], seconds) if isinstance(each, Connection)]

    def stop(self, worker: int) -> None:
        """End a worker at once."""
        self._connections.pop(worker).close()
        process = self._processes.pop(worker)
        process.kill()
        process.join()

    def close(self) -> None:
        """End all workers: those that are at work give up their files first."""
        for connection in self._connections.values():
            connection.close()  # an idle worker then ends
        for process in self._processes.values():
            process.terminate()  # does what Ctrl-C does, see _work
        for process in self._processes.values():
            process.join(_PATIENCE)
            process.kill()
            process.join()
        self._connections.clear()
        self._processes.clear()

    def _event(self, worker: int) -> Event:
        try:
            value = self._connections[worker].recv()
        except (EOFError, OSError):
            self.stop(worker)
            return Died(worker)
        if isinstance(value, Exception):
            return Failed(worker, value)
        if worker in self._started:
            return Done(worker, value)
        self._started.add(worker)
        return Ready(worker, value)


def _work(connection: Connection, job: Job, threads: int) -> None:
    """Run a worker process: do each task that arrives and reply with its result or its error."""
    # Ctrl-C reaches every process, and the parent sends SIGTERM when it stops. A worker that survived either would
    # start the next task.
    with stop_signals(signal.SIGINT) as received:
        try:
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            Thread(target=end_with_parent, daemon=True).start()
            _serve(connection, job, threads)
        except KeyboardInterrupt:  # temporary files are removed
            os._exit(stopped_status(received))


def _serve(connection: Connection, job: Job, threads: int) -> None:
    os.environ[THREADS] = str(threads)  # for torch, which the job imports
    logging.getLogger("aligncat").setLevel(logging.ERROR)  # what a user is to know is in the results
    try:
        greeting, work = job.start()
    except Exception as error:  # the driver raises it
        connection.send(portable_error(error))
        return
    connection.send(greeting)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            result = work(task)
        except Exception as error:  # the driver raises it
            result = portable_error(error)
        connection.send(result)
