"""Grouping of runs into figures by split, and into colours by config."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aligncat.errors import DataError
from aligncat.grounder.overlay import PALETTE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligncat.evaluation.answers import Answers

Color = tuple[float, float, float]

COLORS: tuple[Color, ...] = tuple((r / 255, g / 255, b / 255) for r, g, b in PALETTE)
TRUTH, CHOICE = COLORS[2], COLORS[0]
_LINES = ("solid", "dashed", "dotted", "dashdot")
_HATCHES = ("", "////", "....", "xxxx")


class NothingToDrawError(DataError):
    """Raised when the runs lack the data of a figure."""


@dataclass(frozen=True, slots=True)
class Config:
    """The runs of one config on one detector, which differ only in the seed.

    Attributes:
        name: the config's name, with the detector's if the config has runs on several detectors.
        runs: one run per seed.
        color: colour of lines and bars, RGB in [0, 1].
        line: matplotlib line style; it tells configs of the same colour apart.
        hatch: matplotlib hatch of the bars, for the same purpose.
    """

    name: str
    runs: tuple[Answers, ...]
    color: Color
    line: str
    hatch: str


def by_split(runs: Sequence[Answers]) -> dict[str, list[Answers]]:
    """Group runs by split, under names such as "refcocog val (umd)"; runs without answers are left out.

    Raises:
        NothingToDrawError: no run has an answer.
    """
    found: dict[str, list[Answers]] = defaultdict(list)
    for run in runs:
        result = run.result
        if len(run):
            found[f"{result.dataset} {result.split}" + (f" ({result.split_by})" if result.split_by else "")].append(run)
    if not found:
        raise NothingToDrawError("no run has an answer to draw; evaluate on a split that has expressions")
    return dict(found)


def by_config(runs: Sequence[Answers]) -> list[Config]:
    """Group runs by config and detector, in order of first mention."""
    found: dict[tuple[str, str], list[Answers]] = defaultdict(list)
    for run in runs:
        found[run.result.config, run.result.detector].append(run)
    detectors = Counter(config for config, _ in found)
    configs = []
    for place, ((config, detector), own) in enumerate(found.items()):
        cycle = place // len(COLORS) % len(_LINES)
        name = config if detectors[config] == 1 else f"{config}, {detector}"
        configs.append(Config(name, tuple(own), COLORS[place % len(COLORS)], _LINES[cycle], _HATCHES[cycle]))
    return configs


def compared(runs: Sequence[Answers], most: int) -> list[Answers]:
    """Return the runs to show side by side: the first run of each config, or all seeds if there is only one config."""
    firsts = [config.runs[0] for config in by_config(runs)]
    return (firsts if len(firsts) > 1 else list(runs))[:most]
