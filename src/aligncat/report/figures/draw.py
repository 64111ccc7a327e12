"""All figures that a set of runs allows, drawn into one folder."""

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

_PER_KIND = 3  # each kind of expression gets 1 / _PER_KIND of the examples in the figure of word weights
_LONGEST = 120  # characters of a file's name
_DRAWN = "The truth's box is green and solid, the chosen box orange and dashed, the chosen mask outlined in orange."


@dataclass(frozen=True, slots=True)
class FigureFile:
    """A figure on disk.

    Attributes:
        path: the file, an SVG that follows dark mode; pictures are inside it.
        title: what the figure shows, as plain text. It may hold names of datasets and configs, so escape it in HTML.
        caption: how to read the figure, and the rule that chose its examples; plain text too.
    """

    path: Path
    title: str
    caption: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """A figure to draw; `draw` raises NothingToDrawError if the runs lack its data."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Figure]


def draw_all(runs: Sequence[Answers], out: Path, *, examples: int = 6, photos: Path | None = None) -> list[FigureFile]:
    """Draw all figures that the runs allow. The same answers and pictures give the same bytes.

    Every split has its own figures. Figures of numbers show all runs, figures of examples the first run of each config.

    Args:
        runs: runs of any configs, seeds, datasets and splits.
        out: the folder, created if missing; files of the same names are replaced.
        examples: the number of expressions in a comparison. In a figure of word weights, each kind of expression gets
            a third of it.
        photos: only pictures in this folder are drawn; by default all.

    Returns:
        The figures in the order of a report, without those that the runs lack data for.

    Raises:
        ConfigError: `examples` is below 1, or matplotlib is not installed.
        DataError: no run has an answer, or two runs on a split have different expressions with the same id.
        OSError: the folder cannot be written.
    """
    if examples < 1:
        raise ConfigError(f"examples is {examples}, but must be at least 1")
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError("figures need matplotlib; install it with pip install 'aligncat[report]'") from error
    from aligncat.report.figures.style import save

    out.mkdir(parents=True, exist_ok=True)
    files: list[FigureFile] = []
    taken: set[str] = set()
    for plan in _plans(runs, examples, photos):
        try:
            figure = plan.draw()
        except NothingToDrawError:
            continue
        path = out / f"{_free(plan.name, taken)}.svg"
        save(figure, path)
        files.append(FigureFile(path, plan.title, plan.caption))
    return files


def _plans(runs: Sequence[Answers], examples: int, photos: Path | None) -> Iterator[_Plan]:
    splits = by_split(runs)
    for split, own in splits.items():
        yield from _numbers(split, own)
    yield _training(runs)
    for split, own in splits.items():
        yield _comparison(split, own, examples, photos)
        for config in by_config(own):
            yield from _of_one_run(split, config.name, config.runs[0], max(1, examples // _PER_KIND), photos)


def _numbers(split: str, runs: Sequence[Answers]) -> Iterator[_Plan]:
    from aligncat.report.figures.distractors import distractors_figure
    from aligncat.report.figures.reliability import calibration_figure, match_figure
    from aligncat.report.figures.stairs import staircase_figure

    yield _Plan(
        f"staircase {split}",
        f"Oracle staircase, {split}",
        "The percentage of expressions whose referent has an IoU above 0.5 with some box left after each stage: all N "
        "queries of the detector, the O candidates that passed the confidence filter, the refined set of the second "
        "stage, and the chosen box (REC accuracy). A step down shows what a stage lost. There is one bar per run; a "
        "config with a single stage has no refined set, so that bar is missing.",
        partial(staircase_figure, runs),
    )
    yield _Plan(
        f"distractors {split}",
        f"Accuracy by number of distractors, {split}",
        "REC accuracy by the number of other annotated objects of the referent's category in the image, for n "
        "expressions at each point. The band is Wilson's 95% interval for n expressions around the mean over a "
        "config's seeds; it does not include the spread of the seeds.",
        partial(distractors_figure, runs),
    )
    yield _Plan(
        f"calibration {split}",
        f"Calibration of the probability, {split}",
        "The share of right answers in ten bins of equal width by probability, each drawn at its mean probability with "
        "Wilson's 95% interval. On the dotted line, answers are right as often as their probability says. The bars "
        "below count the answers in each bin. ECE is the expected calibration error: the distance from the line, "
        "averaged over the answers. The probability is the chosen object's share of the softmax over the refined set.",
        partial(calibration_figure, runs),
    )
    yield _Plan(
        f"match {split}",
        f"Calibration of the match, {split}",
        "The share of expressions that mean something in their image, in ten bins of equal width by match, drawn like "
        "the calibration of the probability. The match is the grounder's probability that the image holds what the "
        "expression says.",
        partial(match_figure, runs),
    )


def _training(runs: Sequence[Answers]) -> _Plan:
    from aligncat.report.figures.training_curves import training_figure

    return _Plan(
        "training",
        "Training curves",
        "Values that training logged by epoch, with one line per grounder and one colour per config. Grounders whose "
        "logs are missing are left out. Validation metrics are those of the averaged weights.",
        partial(training_figure, runs),
    )


def _comparison(split: str, runs: Sequence[Answers], examples: int, photos: Path | None) -> _Plan:
    from aligncat.report.figures.comparison import comparison_figure

    return _Plan(
        f"comparison {split}",
        f"The same expressions under several configs, {split}",
        "Expressions that some runs answer right and others wrong, with one row per expression and one column per run. "
        "They are chosen by a rule: the patterns of which runs are right take turns, the most frequent first; within a "
        "pattern, a hash of the expression's id gives a fixed random order; each image occurs once. " + _DRAWN,
        partial(comparison_figure, runs, examples=examples, photos=photos),
    )


def _of_one_run(split: str, config: str, run: Answers, per_kind: int, photos: Path | None) -> Iterator[_Plan]:
    from aligncat.report.figures.failures import failures_figure
    from aligncat.report.figures.word_weights import word_weights_figure

    yield _Plan(
        f"words {config} {split}",
        f"Word weights of {config}, {split}",
        "Word weights of the phrase attention (Eq. 11) for the right answers with the most uneven weights of each kind "
        "of expression (by entropy relative to its maximum; ties by id; each text once). They are chosen for contrast, "
        "so they show how unevenly the attention can weigh words, not how it does on average.",
        partial(word_weights_figure, run, per_kind=per_kind),
    )
    yield _Plan(
        f"failures {config} {split}",
        f"Failures of {config} by cause, {split}",
        "One panel per cause, in the order in which causes are tested. Each shows the failure with the median "
        "probability among those of its cause. " + _DRAWN,
        partial(failures_figure, run, photos=photos),
    )


def _free(name: str, taken: set[str]) -> str:
    """Return an unused file name without suffix, made of characters that every file system allows."""
    base = re.sub(r"[^A-Za-z0-9+._]+", "-", name).strip("-.")[:_LONGEST]
    number = 1
    while (free := base if number == 1 else f"{base}-{number}").casefold() in taken:
        number += 1
    taken.add(free.casefold())
    return free
