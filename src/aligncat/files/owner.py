"""Which process made a file, and whether that process still lives."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

PATTERN = r"(?P<host>[\w.]{1,40})-(?P<machine>[0-9a-f]{8})-(?P<pid>\d{1,10})-(?P<start>\d{1,20})"
"""A regular expression for the text form of an owner."""
_UNKNOWN = 0


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, as its temporary files and locks name it.

    Attributes:
        host: the name of its machine, for people.
        machine: 8 hexadecimal digits that differ between machines, between two starts of a machine, and between
            containers, whose process ids are not comparable.
        pid: its process id.
        start: the time at which it started, in clock ticks since the machine's start; 0 if the system does not say. A
            later process with the same id has another.
    """

    host: str
    machine: str
    pid: int
    start: int

    @classmethod
    def current(cls) -> Self:
        """Return the owner that stands for this process."""
        pid = os.getpid()
        return cls(_host(), _machine(), pid, _start(pid) or _UNKNOWN)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the owner that `str` wrote, or None if the text is something else."""
        found = re.fullmatch(PATTERN, text, re.ASCII)
        return None if found is None else cls(found["host"], found["machine"], int(found["pid"]), int(found["start"]))

    def __str__(self) -> str:
        return f"{self.host}-{self.machine}-{self.pid}-{self.start}"

    def is_local(self) -> bool:
        """Return whether this process could see the owner among the processes of its machine."""
        return self.machine == _machine()

    def is_alive(self) -> bool | None:
        """Return whether the process lives, or None if this process cannot know."""
        if not self.is_local() or os.name == "nt":  # on Windows, os.kill would end the process instead of asking
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # it exists and belongs to another user
            pass
        except OverflowError:
            return False
        found = _start(self.pid)
        if found is None or self.start == _UNKNOWN:
            return None
        return found == self.start


@cache
def _host() -> str:
    return re.sub(r"[^\w.]", "_", platform.node(), flags=re.ASCII)[:40] or "_"


@cache
def _machine() -> str:
    """Return a hash of the host's name, its current start and the namespace of its process ids."""
    parts = [platform.node()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:  # not Linux
        pass
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def _start(pid: int) -> int | None:
    """Return the start time of a process; None without /proc; -1 if it has ended and waits for its parent."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *others = text.rpartition(")")[2].split()  # the name in parentheses may hold anything
    return -1 if state in "ZX" else int(others[18])
