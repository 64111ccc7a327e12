"""Signals that stop a command: SIGTERM and SIGHUP do what Ctrl-C does."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

_NAMES = ("SIGTERM", "SIGHUP")  # Windows has no SIGHUP


@contextmanager
def stop_signals(*others: int) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, as Ctrl-C does, until the end of the block.

    A signal that is ignored, as under nohup, stays ignored. Only the first signal is raised, so that a second one does
    not break what is done on the first. Outside the main thread, which alone receives signals, nothing changes.

    Args:
        others: further signals to treat in this way.

    Yields:
        The signals received.
    """
    received: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = {}
    for number in (*(getattr(signal, name) for name in _NAMES if hasattr(signal, name)), *others):
        # None: the handler was not installed from Python, and could not be restored.
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, stop)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold back SIGINT, SIGTERM and SIGHUP until the end of the block.

    Blocking them in the main thread is not enough: another thread may receive them, and Python then runs their handlers
    in the main thread all the same. Outside the main thread, nothing changes.
    """
    held: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, *(getattr(signal, name) for name in _NAMES if hasattr(signal, name))):
            if signal.getsignal(number) is not None:  # see stop_signals
                before[number] = signal.signal(number, lambda number, _: held.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in held:
            signal.raise_signal(number)


def ignore_stop_signals(worker: int) -> None:
    """Ignore SIGINT, SIGTERM and SIGHUP in a worker process of DataLoader, for its argument `worker_init_fn`.

    A terminal or a job scheduler sends them to the workers too. DataLoader would raise RuntimeError for a dead worker
    while the command stops; it ends its workers without signals, and a worker ends by itself if the command is killed.

    Args:
        worker: the worker's number, which DataLoader passes.
    """
    for number in (signal.SIGINT, *(getattr(signal, name) for name in _NAMES if hasattr(signal, name))):
        signal.signal(number, signal.SIG_IGN)


def stopped_status(received: Sequence[int]) -> int:
    """Return the exit status after KeyboardInterrupt: 128 plus the signal, as shells report it; 130 for Ctrl-C."""
    return 128 + (received[0] if received else signal.SIGINT)


@contextmanager
def lightning_interrupts(trainer: Any, where: str) -> Iterator[None]:
    """Raise KeyboardInterrupt on Ctrl-C in Lightning's loop, and restore the signal handler.

    Lightning raises SystemExit instead, and then leaves SIGINT ignored.

    Args:
        trainer: Lightning's trainer.
        where: where the same command resumes, for the log line.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        signal.signal(signal.SIGINT, before)
        logger.info("Stopped. Run the same command again to resume %s.", where)
        raise KeyboardInterrupt from None
