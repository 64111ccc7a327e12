"""How much memory this process may still take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_STATUS = {"RLIMIT_AS": "VmSize", "RLIMIT_DATA": "VmData"}
_GROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Return the bytes of memory that this process may still take; None if the system does not tell.

    It is the least of what the machine has left, what the control groups of the process (a container's, a batch job's)
    have left, and what the process's own limits leave.
    """
    return min(_free(), default=None)


def _free() -> Iterator[int]:
    machine = _kilobytes(Path("/proc/meminfo"))
    if "MemAvailable" in machine:
        yield machine["MemAvailable"]
    elif "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield from _free_of_groups()
    yield from _free_of_limits()


def _free_of_groups() -> Iterator[int]:
    """Yield what each control group of the process has left, in both versions of the interface."""
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        _, kinds, name = line.split(":", 2)
        if kinds == "":
            root, limit, usage = _GROUPS, "memory.max", "memory.current"
        elif "memory" in kinds.split(","):
            root, limit, usage = _GROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = root / name.lstrip("/")
        # Inside a container, its own group is the root.
        for folder in (group, *group.parents) if group.is_dir() else (root,):
            most, used = _text(folder / limit).strip(), _text(folder / usage).strip()
            if most.isdecimal() and used.isdecimal():
                yield max(int(most) - int(used) + _cached(folder), 0)
            if folder == root:
                break


def _cached(group: Path) -> int:
    """Return the bytes of a control group that are copies of files, which the system drops when memory is needed."""
    rows = (line.split() for line in _text(group / "memory.stat").splitlines())
    stat = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}
    return stat.get("total_inactive_file", stat.get("inactive_file", 0))


def _free_of_limits() -> Iterator[int]:
    try:
        import resource
    except ImportError:  # Windows
        return
    status = _kilobytes(Path("/proc/self/status"))
    for name, taken in _STATUS.items():
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY and taken in status:
            yield max(limit - status[taken], 0)


def _kilobytes(path: Path) -> dict[str, int]:
    """Return the sizes that a file of /proc lists, in bytes."""
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0].rstrip(":"): 1024 * int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB"}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
