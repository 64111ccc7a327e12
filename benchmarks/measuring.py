"""Time parts of a benchmark in turn, and write what was found as JSON, from which docs/performance.md is made."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"
_PACKAGES = ("aligncat", "torch", "transformers", "numpy", "pyarrow")


@dataclass(frozen=True)
class Figure:
    """A measured number, beside the best that the machine allows.

    Attributes:
        what: what was measured.
        value: the median of the rounds.
        unit: the unit of `value`, `limit` and `bar`, such as "s" or "times the pass of transformers".
        limit: the least that the machine allows for a cost, or the most for a rate, measured in the same run.
        limit_is: what the limit is.
        bar: the goal that was set before.
        more_is_better: whether `value` is a rate, so that it must be at least the bar, and not at most.
        low: the lowest of the rounds.
        high: the highest of the rounds.
        rounds: the number of rounds.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    limit_is: str = ""
    bar: float | None = None
    more_is_better: bool = False
    low: float | None = None
    high: float | None = None
    rounds: int = 1

    @classmethod
    def ratio(cls, what: str, times: Sequence[float], to: Sequence[float], unit: str, **more: Any) -> Figure:
        """Return the ratio of two parts that were timed in turn: the median of the rounds' ratios."""
        ratios = [first / second for first, second in zip(times, to, strict=True)]
        return cls(what, median(ratios), unit, low=min(ratios), high=max(ratios), rounds=len(ratios), **more)

    @classmethod
    def time(cls, what: str, times: Sequence[float], unit: str = "s", **more: Any) -> Figure:
        """Return the median of some seconds, as "s" or "ms"."""
        scaled = [seconds * (1000 if unit == "ms" else 1) for seconds in times]
        return cls(what, median(scaled), unit, low=min(scaled), high=max(scaled), rounds=len(scaled), **more)

    @property
    def from_limit(self) -> float | None:
        """How many times the limit a cost is, or how many times a rate would fit in its limit; 1 is the best."""
        if self.limit is None:
            return None
        return self.limit / self.value if self.more_is_better else self.value / self.limit

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None without a bar."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.more_is_better else self.value <= self.bar


@dataclass(frozen=True)
class Measurement:
    """What one run of a benchmark found, and on what.

    Attributes:
        command: the command, with the names of its paths instead of the paths.
        date: the day, UTC.
        machine: the processor, or the accelerator.
        threads: the threads of torch.
        clock: what was timed.
        versions: the versions of packages, by name.
        figures: what was found.
        not_run: by name of a part that gave no figure, the reason.
        notes: sentences that the page shows.
        details: further values, which the page does not show.
    """

    command: str
    date: str
    machine: str
    threads: int
    clock: str
    versions: Mapping[str, str]
    figures: Sequence[Figure]
    not_run: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Measurement:
        content = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**content, "figures": [Figure(**each) for each in content["figures"]]})


def write(
    figures: Sequence[Figure], options: argparse.Namespace, *, clock: str = "processor time", **more: Any
) -> Measurement:
    """Print the figures as a table and as JSON, and write the JSON to `--out` if it is given.

    Args:
        figures: the figures.
        options: the options of the command line; see `add_out`.
        clock: what was timed.
        more: further fields of `Measurement`.
    """
    import torch

    found = Measurement(
        **{
            "command": _command(options),
            "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "machine": processor(),
            "threads": torch.get_num_threads(),
            "clock": clock,
            "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
            "figures": figures,
            **more,
        }
    )
    for figure in figures:
        limit = "" if figure.from_limit is None else f", {figure.from_limit:.2f} times the limit ({figure.limit_is})"
        bar = "" if figure.met is None else f", bar {figure.bar:g} {'met' if figure.met else 'MISSED'}"
        print(f"{figure.what}: {figure.value:.4g} {figure.unit}{limit}{bar}")
    for name, reason in found.not_run.items():
        print(f"NOT RUN: {name}: {reason}")
    text = json.dumps(asdict(found), indent=1)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    return found


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add the option `--out`."""
    parser.add_argument("--out", type=Path, help="also write the JSON to this file, such as benchmarks/results/X.json")


def alternated(
    parts: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm: int = 1,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Return the seconds of some parts by name, one for each round, in which all run one after another.

    Args:
        parts: the parts.
        rounds: the number of rounds.
        warm: rounds before the first one that counts.
        clock: the clock, which returns seconds; by default the processor time of this process.
    """
    times: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(-warm, rounds):
        for name, part in parts.items():
            spent = seconds(part, clock)
            if number >= 0:
                times[name].append(spent)
    return times


def seconds(part: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Return the seconds of one call."""
    begun = clock()
    part()
    return clock() - begun


def peak_mb() -> float:
    """Return the largest memory of this process so far in MB (on Linux; getrusage counts that of the parent too)."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())


def _command(options: argparse.Namespace) -> str:
    """Return the command of this process, with the names of options instead of paths, and without `--out`."""
    paths = {str(value): name.upper() for name, value in vars(options).items() if isinstance(value, Path)}
    words = [paths.get(word, word) for word in sys.argv[1:]]
    if "--out" in words:
        place = words.index("--out")
        words[place : place + 2] = []
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
