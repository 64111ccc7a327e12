"""What processes that work for another one share: they send their errors to it, and end with it."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from multiprocessing.resource_tracker import ensure_running


def portable_error(error: Exception) -> Exception:
    """Return an error that can be sent to another process: the error itself, or else one that describes it.

    Both carry the traceback as a note.
    """
    found = error
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # pickling runs the code of the error's class, which may raise anything
        found = RuntimeError(f"{type(error).__name__}: {error}")
    found.add_note("".join(traceback.format_exception(error)))
    return found


def end_with_parent() -> None:
    """End this process if its parent is killed, so that it does not write to the folders of a repeated command."""
    parent = parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C in processes started here until they can handle it; otherwise they would print tracebacks."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    ensure_running()  # multiprocessing would start its resource tracker with the first process and unblock Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
