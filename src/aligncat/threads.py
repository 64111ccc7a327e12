"""The processor cores that this process may use, and the threads that it is told to use."""

from __future__ import annotations

import os

THREADS = "OMP_NUM_THREADS"
"""The environment variable of OpenMP, which torch and the runtimes of exports follow."""


def usable_cores() -> int:
    """Return the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wanted_threads() -> int:
    """Return the number of threads that torch would take: that of OMP_NUM_THREADS, or else the usable cores.

    OpenMP allows one number for each level of nesting, such as 4,2; the first counts. It ignores what is no number.
    """
    first = os.environ.get(THREADS, "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) > 0 else usable_cores()
