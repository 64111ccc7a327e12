"""Run the rows of a study in parallel processes that share the store in memory."""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import TYPE_CHECKING

import torch
from rich.progress import MofNCompleteColumn, TimeElapsedColumn

from aligncat.console import progress_bar
from aligncat.errors import AligncatError
from aligncat.processes import end_with_parent, interrupts_blocked, portable_error
from aligncat.signals import signals_held, stop_signals, stopped_status
from aligncat.studies.runs import LoadedInputs, StudyInputs, StudyRun

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

logger = logging.getLogger(__name__)


def work_all(runs: Sequence[StudyRun], loaded: LoadedInputs, workers: int, *, threads: int) -> None:
    """Train and evaluate runs in worker processes.

    Args:
        runs: the runs.
        loaded: the inputs of the runs; the candidates of their images are loaded into shared memory.
        workers: the number of worker processes.
        threads: the number of torch threads per worker.

    Raises:
        AligncatError: a worker was killed.
        Exception: a run failed; this is its error. Either is raised after the runs in progress have ended.
    """
    _share_stores(loaded)
    waiting = deque(runs)
    with (
        progress_bar(MofNCompleteColumn(), TimeElapsedColumn()) as progress,
        _workers(loaded.inputs, workers, threads) as idle,
    ):
        task = progress.add_task("ablate", total=len(runs))
        busy: set[Connection] = set()
        failure: Exception | None = None
        while busy or (waiting and failure is None):
            while idle and waiting and failure is None:
                connection = idle.pop()
                try:
                    connection.send(waiting.popleft())
                except ConnectionError:
                    failure = _killed()
                else:
                    busy.add(connection)
            for ready in wait([*busy]):
                assert isinstance(ready, Connection)
                busy.remove(ready)
                try:
                    answer = ready.recv()
                except (EOFError, ConnectionError):  # the latter: it was killed before it received its run
                    failure = failure or _killed()
                    continue
                idle.append(ready)
                if isinstance(answer, Exception):
                    failure = failure or answer
                else:
                    progress.console.print(answer, highlight=False)
                    progress.advance(task)
        if failure is not None:
            raise failure


def _killed() -> AligncatError:
    return AligncatError(
        "a worker process was killed, possibly because memory ran out; repeat the command with fewer --workers "
        "(finished runs are kept)"
    )


def _share_stores(loaded: LoadedInputs) -> None:
    """Load the candidates of all splits' images into shared memory, as far as there is room."""
    for split in ("train", *loaded.inputs.splits):
        images = tuple(dict.fromkeys(e.image_id for e in loaded.split(split).expressions))
        for store in loaded.inputs.stores.values():
            if not store.share(images):
                logger.warning(
                    "there is no room for the candidates in the shared memory (/dev/shm), so each worker reads them "
                    "itself and takes more memory or disk; enlarge it (Docker: --shm-size), or use fewer --workers if "
                    "memory runs out"
                )
                return


@contextmanager
def _workers(inputs: StudyInputs, count: int, threads: int) -> Iterator[list[Connection]]:
    """Start worker processes and yield a connection to each; end the processes on exit."""
    context = get_context("spawn")
    processes: list[SpawnProcess] = []
    connections: list[Connection] = []
    try:
        with signals_held(), interrupts_blocked():
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, inputs, threads), daemon=True)
                process.start()
                theirs.close()
                processes.append(process)
                connections.append(ours)
        yield [*connections]
    finally:
        for connection in connections:
            connection.close()  # an idle worker then ends
        for process in processes:
            process.join(1)
            process.terminate()  # does what Ctrl-C does, see _work
            process.join()


def _work(connection: Connection, inputs: StudyInputs, threads: int) -> None:
    """Run a worker process: work on each run that arrives and reply with its name or its error."""
    # Ctrl-C reaches every process, and the parent sends SIGTERM when it stops. A worker that survived either would
    # start the next run.
    with stop_signals(signal.SIGINT) as received:
        try:
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            _work_on_runs(connection, inputs, threads)
        except KeyboardInterrupt:  # locks are released and temporary files removed
            os._exit(stopped_status(received))


def _work_on_runs(connection: Connection, inputs: StudyInputs, threads: int) -> None:
    Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    loaded = LoadedInputs(inputs)
    while True:
        try:
            run: StudyRun = connection.recv()
        except EOFError:
            return
        try:
            run.work(loaded)
        except Exception as error:  # the parent process raises it
            connection.send(portable_error(error))
        else:
            connection.send(run.name)
