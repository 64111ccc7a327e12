"""Draws every figure that a set of runs allows, into one folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.errors import ConfigError
from aligncat.report.figures.grouping import NothingToDrawError, by_config, by_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from aligncat.evaluation.answers import Answers

_PER_KIND = 3  # of the examples, the part that each kind of expression gets in the figure of word weights
_LONGEST = 120  # letters of a file's name
_DRAWN = "The truth's box is green and solid, the chosen box orange and dashed, the chosen mask outlined in orange."


@dataclass(frozen=True, slots=True)
class FigureFile:
    """A figure on disk.

    Attributes:
        path: the file, PNG where there are pictures and SVG where there are none.
        title: what it shows, in a few words; plain text, in which a dataset's or a config's name may be anything.
        caption: how to read it, with the rule that chose what is in it; plain text likewise.
    """

    path: Path
    title: str
    caption: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """A figure that may be drawn; `draw` raises NothingToDrawError where it cannot be."""

    name: str
    suffix: str
    title: str
    caption: str
    draw: Callable[[], Figure]


def draw_all(runs: Sequence[Answers], out: Path, *, examples: int = 6) -> list[FigureFile]:
    """Draw what the runs allow: the same answers and pictures, the same bytes.

    Every split has figures of its own. Numbers are drawn of all runs, examples of the first run of each config.

    Args:
        runs: of any configs, seeds, datasets and splits.
        out: the folder, made where it is missing; files of the same names are replaced.
        examples: how many expressions a comparison shows; of word weights, each kind of expression has a third of it.

    Returns:
        The figures in the order of a report; those that the runs do not allow are left out.

    Raises:
        ConfigError: examples is below 1, or matplotlib is not installed.
        DataError: no run has an answer, or runs of one split know different expressions by one id.
        OSError: the folder cannot be written.
    """
    if examples < 1:
        raise ConfigError(f"examples is {examples}: give at least 1")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError("figures are drawn with matplotlib: pip install 'aligncat[report]'") from error
    from aligncat.report.figures.style import save

    out.mkdir(parents=True, exist_ok=True)
    files: list[FigureFile] = []
    taken: set[str] = set()
    for plan in _plans(runs, examples):
        try:
            figure = plan.draw()
        except NothingToDrawError:
            continue
        path = out / f"{_free(plan.name, taken)}{plan.suffix}"
        save(figure, path)
        files.append(FigureFile(path, plan.title, plan.caption))
    return files


def _plans(runs: Sequence[Answers], examples: int) -> Iterator[_Plan]:
    splits = by_split(runs)
    for split, own in splits.items():
        yield from _numbers(split, own)
    yield _training(runs)
    for split, own in splits.items():
        yield _comparison(split, own, examples)
        for config in by_config(own):
            yield from _of_one_run(split, config.name, config.runs[0], max(1, examples // _PER_KIND))


def _numbers(split: str, runs: Sequence[Answers]) -> Iterator[_Plan]:
    from aligncat.report.figures.distractors import distractors_figure
    from aligncat.report.figures.reliability import calibration_figure
    from aligncat.report.figures.stairs import staircase_figure

    yield _Plan(
        f"staircase {split}",
        ".svg",
        f"Oracle staircase, {split}",
        "The percentage of expressions whose referent still passes IoU 0.5 with some box after each stage: among all N "
        "queries of the detector, the O candidates that its confidence filter left, the refined set of the second "
        "stage, and as the chosen box (REC accuracy). A step down is what that stage lost. A bar a run; a config of "
        "one stage has no refined set, and no bar there.",
        partial(staircase_figure, runs),
    )
    yield _Plan(
        f"distractors {split}",
        ".svg",
        f"Accuracy by number of distractors, {split}",
        "REC accuracy against the number of other annotated objects of the referent's category in the image, with n "
        "expressions a point. The band is Wilson's 95% interval for n expressions, around the mean over a config's "
        "seeds; it does not hold the spread of the seeds.",
        partial(distractors_figure, runs),
    )
    yield _Plan(
        f"calibration {split}",
        ".svg",
        f"Calibration of the probability, {split}",
        "How many answers of a probability are right, in ten bins of equal width, each at its mean probability, with "
        "Wilson's 95% intervals; on the dotted line as many are right as the probability says. Below, how many answers "
        "each bin has. ECE is the expected calibration error, the mean distance from the line over the answers. The "
        "probability is the share of the softmax over the refined set that falls on the chosen object.",
        partial(calibration_figure, runs),
    )


def _training(runs: Sequence[Answers]) -> _Plan:
    from aligncat.report.figures.training_curves import training_figure

    return _Plan(
        "training",
        ".svg",
        "Training curves",
        "What training logged by epoch: a line a grounder, a colour a config; grounders whose logs are gone are left "
        "out. Validation scores are those of the averaged weights.",
        partial(training_figure, runs),
    )


def _comparison(split: str, runs: Sequence[Answers], examples: int) -> _Plan:
    from aligncat.report.figures.comparison import comparison_figure

    return _Plan(
        f"comparison {split}",
        ".png",
        f"The same expressions under several configs, {split}",
        "Expressions that some runs answer rightly and some wrongly, a row an expression, a column a run. They are "
        "chosen by rule: patterns of who is right take turns, the most frequent first; inside a pattern a fixed "
        "shuffle (a hash of the expression's id) decides, and each image comes once. " + _DRAWN,
        partial(comparison_figure, runs, examples=examples),
    )


def _of_one_run(split: str, config: str, run: Answers, per_kind: int) -> Iterator[_Plan]:
    from aligncat.report.figures.failures import failures_figure
    from aligncat.report.figures.word_weights import word_weights_figure

    yield _Plan(
        f"words {config} {split}",
        ".svg",
        f"Word weights of {config}, {split}",
        "The weights of the phrase attention (Eq. 11). Of each kind of expression, the right answers whose weights are "
        "the most uneven (by entropy over its maximum; equals by id; each text once). Chosen for contrast, so they "
        "show how the attention can weigh, not how it does on average.",
        partial(word_weights_figure, run, per_kind=per_kind),
    )
    yield _Plan(
        f"failures {config} {split}",
        ".png",
        f"Failures of {config} by cause, {split}",
        "A panel a cause, in the order in which causes are asked; each shows the failure whose probability is the "
        "median of its cause. " + _DRAWN,
        partial(failures_figure, run),
    )


def _free(name: str, taken: set[str]) -> str:
    """A file name without its suffix, of letters that any disk takes, that no other figure has."""
    base = re.sub(r"[^A-Za-z0-9+._]+", "-", name).strip("-.")[:_LONGEST]
    number = 1
    while (free := base if number == 1 else f"{base}-{number}").casefold() in taken:
        number += 1
    taken.add(free.casefold())
    return free
