"""Training curves, from the CSV files that Lightning leaves in a grounder's folder."""

from __future__ import annotations

import csv
import logging
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aligncat.report.figures.grouping import NothingToDrawError, by_config
from aligncat.report.figures.style import FAINT, across, house_style, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligncat.evaluation.answers import Answers

Curves: TypeAlias = dict[str, dict[int, float]]
"""By metric, its value by epoch, which counts from 1."""

TITLES = {
    "val/rec": "validation: REC accuracy, %",
    "val/res": "validation: RES mean IoU, %",
    "train/total": "loss, weighted sum (Eq. 19)",
    "train/global": "contrastive loss, coarse stage",
    "train/fine": "contrastive loss, fine stage",
    "train/category": "category loss (Eq. 18)",
}
_SHARES = ("val/rec", "val/res")  # logged as fractions of 1
_COLUMNS = 3
_EPOCH = re.compile("[0-9]{1,9}")
_logger = logging.getLogger(__name__)


def read_curves(grounder: Path) -> Curves:
    """Read what a training run logged, over all its sittings; a later sitting's epoch replaces an earlier one's.

    Args:
        grounder: the folder that `aligncat train` wrote.

    Returns:
        What there is; nothing where the logs are gone. A line that a killed run left unfinished is left out.
    """
    curves: Curves = {}
    for file in sorted(grounder.glob("run/csv/version_*/metrics.csv"), key=_sitting):
        try:
            with file.open(newline="", encoding="utf-8", errors="replace") as lines:
                rows = list(csv.DictReader(lines))
        except (OSError, csv.Error) as error:
            _logger.warning("%s is not the log of a training run, and is left out: %s", file, error)
            continue
        for row in rows:
            if None in row or None in row.values() or not _EPOCH.fullmatch(row.get("epoch", "")):
                continue
            for name in TITLES:
                value = _number(row.get(name, ""))
                if value is not None:
                    curves.setdefault(name, {})[int(row["epoch"]) + 1] = value
    return curves


def _sitting(file: Path) -> int:
    number = file.parent.name.removeprefix("version_")
    return int(number) if number.isdecimal() else -1


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


@house_style()
def training_figure(runs: Sequence[Answers]) -> Figure:
    """Draw every metric of `TITLES` that was logged over the epochs, a line a grounder, a colour a config.

    Args:
        runs: of any splits; answers of one grounder on several splits give one line.

    Raises:
        NothingToDrawError: no run's folder has logs any more.
    """
    drawn = []
    for config in by_config(runs):
        folders = dict.fromkeys(folder for run in config.runs if (folder := run.provenance.get("grounder")))
        drawn += [(config, curves) for folder in folders if (curves := read_curves(Path(folder)))]
    if not drawn:
        raise NothingToDrawError("no grounder's folder has the logs of its training (run/csv)")
    metrics = [name for name in TITLES if any(name in curves for _, curves in drawn)]
    columns = min(_COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = Figure(figsize=(3.0 * columns + 0.4, 2.3 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, name in zip(panels, metrics, strict=False):
        for config, curves in drawn:
            if points := sorted(curves.get(name, {}).items()):
                epochs, values = zip(*points, strict=True)
                shown = [100 * value for value in values] if name in _SHARES else values
                axes.plot(epochs, shown, color=config.color, linestyle=config.line, linewidth=1.3, marker=".", ms=3)
        axes.set_title(TITLES[name])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.set_xlabel("epoch", color=FAINT)
    for axes in panels[len(metrics) :]:
        axes.remove()
    lines = {config.name: panels[0].plot([], [], color=config.color, linestyle=config.line)[0] for config, _ in drawn}
    handles, names = list(lines.values()), [label(name) for name in lines]
    figure.legend(across(handles, columns), across(names, columns), loc="outside lower center", ncols=columns)
    return figure
