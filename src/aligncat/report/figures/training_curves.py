"""Training curves, read from the CSV files that Lightning writes to a grounder's folder."""

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
"""Values by epoch, counted from 1, for each metric."""

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
    """Read the logs of a training run that may have been resumed.

    Each start of the run wrote its own log; if several hold an epoch, the latest log counts.

    Args:
        grounder: the folder that `aligncat train` wrote.

    Returns:
        The curves; empty if there are no logs. Unfinished lines of a killed run are skipped.
    """
    curves: Curves = {}
    for file in sorted(grounder.glob("run/csv/version_*/metrics.csv"), key=_log_number):
        try:
            with file.open(newline="", encoding="utf-8", errors="replace") as lines:
                rows = list(csv.DictReader(lines))
        except (OSError, csv.Error) as error:
            _logger.warning("%s cannot be read as the log of a training run, so it is left out: %s", file, error)
            continue
        for row in rows:
            if None in row or None in row.values() or not _EPOCH.fullmatch(row.get("epoch", "")):
                continue
            for name in TITLES:
                value = _number(row.get(name, ""))
                if value is not None:
                    curves.setdefault(name, {})[int(row["epoch"]) + 1] = value
    return curves


def _log_number(file: Path) -> int:
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
    """Draw every logged metric of `TITLES` by epoch, with one line per grounder and one colour per config.

    Args:
        runs: runs on any splits; a grounder's answers on several splits give one line.

    Raises:
        NothingToDrawError: the logs of all runs are missing.
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
