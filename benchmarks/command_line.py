"""The processor time that help, a typo and a missing file take: python benchmarks/command_line.py.

Prints the user and system time of each process, the least of three, and how much of that Python itself needs to start.
"""

from __future__ import annotations

import os
import subprocess
import sys

from aligncat.cli import VERBS

CASES = (
    *(f"{verb} --help" for verb in VERBS),
    "trian",
    "train --traning.epochs 3",
    "train --config refcoc",
    "train --data.path . --data.dataset refcoco --store nowhere --out out",
    "extract --images nowhere --out out",
    "ground nowhere.jpg dog",
    "evaluate --grounder nowhere --data.path . --data.dataset refcoco --store .",
)


def seconds(arguments: list[str]) -> float:
    found = []
    for _ in range(3):
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, used = os.wait4(process.pid, 0)
        found.append(used.ru_utime + used.ru_stime)
    return min(found)


def main() -> None:
    start = seconds(["-c", "pass"])
    print(f"{start:5.2f} s  Python alone")
    for case in CASES:
        print(f"{seconds(['-m', 'aligncat', *case.split()]):5.2f} s  aligncat {case}", flush=True)


if __name__ == "__main__":
    main()
