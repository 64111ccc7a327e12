"""Measure the processor time that help, a typo and a missing file take.

    python benchmarks/command_line.py [--rounds N] [--out FILE]

Each round starts every command once. The limit is what Python itself needs to start.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from measuring import Figure, add_out, write

from aligncat.cli import VERBS

HELP, BAR = "--help", 0.5  # seconds
CASES = (
    HELP,
    *(f"{verb} --help" for verb in VERBS),
    "trian",
    "train --traning.epochs 3",
    "train --config refcoc",
    "train --data.path . --data.dataset refcoco --store nowhere --out out",
    "extract --images nowhere --out out",
    "ground nowhere.jpg dog",
    "evaluate --grounder nowhere --data.path . --data.dataset refcoco --store .",
)


def used(arguments: list[str]) -> float:
    """Return the user and system time of a process, seconds."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    add_out(parser)
    options = parser.parse_args()
    alone: list[float] = []
    times: dict[str, list[float]] = {case: [] for case in CASES}
    for _ in range(options.rounds):
        alone.append(used(["-c", "pass"]))
        for case, found in times.items():
            found.append(used(["-m", "aligncat", *case.split()]))
    figures = [
        Figure.time(
            f"aligncat {case}",
            found,
            limit=min(alone),
            limit_is="Python alone",
            bar=BAR if case == HELP else None,
        )
        for case, found in times.items()
    ]
    write(figures, options)


if __name__ == "__main__":
    main()
