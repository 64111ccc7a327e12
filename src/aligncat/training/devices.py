"""Train on several devices: one process for each device of this machine.

Each machine (node) has one main process, which reads the data once. The processes of its devices share that memory, and
only run the training loop. The main process of the first node alone writes the grounder's folder.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from threading import Thread
from typing import TYPE_CHECKING, Any, cast

import torch

from aligncat.errors import AligncatError, ConfigError
from aligncat.processes import end_with_parent, interrupts_blocked, portable_error
from aligncat.signals import signals_held
from aligncat.training.config import TrainingConfig
from aligncat.training.nodes import Node
from aligncat.wording import first_line

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

GRACE_SECONDS = 5.0  # in which the other processes may say why they failed, after the first has
_RESUME = "run the same command again to resume after the last whole epoch"

logger = logging.getLogger(__name__)


def on_devices(work: Callable[..., Any], arguments: Sequence[Any], training: TrainingConfig, node: Node) -> Any:
    """Call a function in one process for each device of this node, and return the result of the first.

    The processes share the memory of the tensors in the arguments, but each has its own copy of the weights of modules
    if `work` copies them.

    Args:
        work: a function of a module.
        arguments: its arguments, which are sent to the processes.
        training: the number of devices.
        node: this machine.

    Raises:
        AligncatError: a process failed with it, or was killed.
        ConfigError: the shared memory is full.
        KeyboardInterrupt: on Ctrl-C, after a log line that says how to resume.
    """
    port = node.port or _free_port()
    place = {"NODE_RANK": str(node.rank), "MASTER_ADDR": node.address, "MASTER_PORT": str(port)}
    threads = max(torch.get_num_threads() // training.devices, 1)
    level = logging.getLogger("aligncat").getEffectiveLevel()
    context = torch.multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    connections: list[Connection] = []
    try:
        with signals_held(), interrupts_blocked():
            for rank in range(training.devices):
                ours, theirs = context.Pipe(duplex=False)
                speaks = node.leads and rank == 0
                started = (theirs, work, arguments, {**place, "LOCAL_RANK": str(rank)}, threads, level, speaks)
                process = context.Process(target=_run, args=started, daemon=True)
                _start(process)
                theirs.close()
                processes.append(process)
                connections.append(ours)
        return _result(connections)
    except KeyboardInterrupt:
        logger.info("Stopped. Run the same command again to resume after the last whole epoch.")
        raise
    finally:
        for process in processes:
            process.kill()  # files are written whole or not at all
            process.join()


def _start(process: SpawnProcess) -> None:
    try:
        process.start()
    except RuntimeError as error:
        if "shared memory" not in str(error) and "No space left" not in str(error):
            raise
        raise ConfigError(
            "the shared memory (/dev/shm) is too small for the candidates, which the processes of the devices share; "
            "enlarge it (Docker: --shm-size)"
        ) from error


def _result(connections: Sequence[Connection]) -> Any:
    """Return the result of the first process, when all have ended.

    Raises:
        Exception: what a process raised, preferably an error with a remedy. The others often only lose a connection.
    """
    results: dict[int, Any] = {}
    failures: list[Exception] = []
    waiting = list(connections)
    while waiting and (ready := wait(waiting, GRACE_SECONDS if failures else None)):
        for connection in ready:
            assert isinstance(connection, Connection)
            rank = connections.index(connection)
            try:
                message = connection.recv()
            except EOFError:
                waiting.remove(connection)
                if rank not in results:
                    failures.append(
                        AligncatError(
                            f"the process of device {rank} was killed, possibly because memory ran out; {_RESUME}"
                        )
                    )
                continue
            if isinstance(message, logging.LogRecord):
                logging.getLogger(message.name).handle(message)
                continue
            results[rank] = message
            if isinstance(message, Exception):
                failures.append(message)
    if failures:
        raise min(failures, key=_severity)
    return results[0]


def _severity(error: Exception) -> int:
    """Return 0 for an error that a process raised on purpose, 1 for an unexpected one, 2 for a lost connection."""
    return 2 if isinstance(error, _LostConnectionError) else int(not isinstance(error, AligncatError))


class _LostConnectionError(AligncatError):
    """Another process has ended."""


def _run(  # noqa: PLR0917 - a process gets its arguments by position
    connection: Connection,
    work: Callable[..., Any],
    arguments: Sequence[Any],
    place: Mapping[str, str],
    threads: int,
    level: int,
    speaks: bool,
) -> None:
    """Run the process of a device, and send what it logs and its result or error."""
    Thread(target=end_with_parent, daemon=True).start()
    os.environ.update(place)
    torch.set_num_threads(threads)
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_Sender(cast("Any", connection)) if speaks else logging.NullHandler())
    logging.getLogger("aligncat").setLevel(level)
    try:
        result = work(*arguments)
    except Exception as error:
        lost = isinstance(error, torch.distributed.DistError) or "onnection" in str(error)
        if isinstance(error, AligncatError) or not lost:
            connection.send(portable_error(error))
        else:
            connection.send(
                _LostConnectionError(f"a device lost the others ({first_line(error)}); if they are well, {_RESUME}")
            )
    else:
        connection.send(result)
    connection.close()
    os._exit(0)  # the connections to other processes may wait for them


class _Sender(QueueHandler):
    """Sends log records to the main process, which shows them as its own."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send one record."""
        connection: Any = self.queue
        connection.send(record)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
