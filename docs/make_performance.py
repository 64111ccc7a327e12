"""Write docs/performance.md from benchmarks/results/*.json: python docs/make_performance.py, or make bench.

Do not edit performance.md by hand. A benchmark writes its file with --out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from make_results import table

from aligncat.errors import DataError

ROOT = Path(__file__).resolve().parent
PAGE = ROOT / "performance.md"
BENCHMARKS = ROOT.parent / "benchmarks"
sys.path.append(str(BENCHMARKS))  # at the end, because some benchmarks have the names of packages

from measuring import RESULTS, Figure, Measurement  # noqa: E402

INTRODUCTION = """# Performance

`make bench` generates this page from the files in `benchmarks/results/`. Each section is one run of the command below
its heading, which wrote its file with `--out`. What is compared ran in turn, in rounds. A figure is the median of its
rounds, and the range of the rounds follows in brackets. Times in seconds and milliseconds depend on the machine; the
ratios depend on it less.

- **limit**: the least that the same machine allows for a cost, or the most for a rate, measured in the same run.
- **from the limit**: 1 is the best. A cost of 2 is twice its limit; a rate of 2 is half of its limit.
- **bar**: the goal that was set before the measurement."""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        name: the name of its file without the suffix.
        title: its heading.
        command: the command that measures it.
        about: what it compares.
        missing: what the page says if no run is stored.
    """

    name: str
    title: str
    command: str
    about: str
    missing: str = "**No run is stored yet:**"


def _large(what: str, about: str, title: str) -> Section:
    return Section(f"large-data-{what}", title, f"python benchmarks/large_data.py {what} --folder FOLDER", about)


SECTIONS = (
    Section(
        "detector",
        "The detector's forward pass",
        "python benchmarks/detector.py PHOTOS",
        "aligncat's own [forward pass](forward-pass.md) of Mask2Former against that of transformers, over photos.",
    ),
    Section(
        "extract-mini",
        "Extraction with the mini detector",
        "python benchmarks/extract.py PHOTOS --detector mini",
        "A whole extraction: photos decoded, forward passes, boxes and masks, the store written.",
    ),
    Section(
        "extract-swin-tiny",
        "Extraction with a detector of real size",
        "python benchmarks/extract.py PHOTOS",
        "The same with the random weights of a Swin-Tiny Mask2Former, whose masks are noise: the worst case for masks.",
    ),
    Section(
        "extract-appearance",
        "Extraction with appearance",
        "python benchmarks/extract.py PHOTOS --appearance",
        "The same with the columns colour and levels, beside an extraction without them.",
    ),
    Section(
        "training-step",
        "A training step",
        "python benchmarks/alignment.py",
        "A step of the preset refcoco on random candidates, with Adam.",
    ),
    Section(
        "negatives",
        "The selection of negatives",
        "python benchmarks/alignment.py --negatives",
        "By the number of phrases in a batch. The table of similarities grows with its square.",
    ),
    Section(
        "against-on-the-fly",
        "Against a detector in the training loop",
        "python benchmarks/against_on_the_fly.py --swin",
        "QueryMatch's release runs its detector in every step. The same step, once so and once from a store.",
    ),
    _large(
        "train", "The candidates of a million images, in memory and in a file.", "Training on more than fits in memory"
    ),
    _large("limited", "The same with little memory.", "Training under a limit of the address space"),
    _large("load", "`Store.tensors` and `Store.open`.", "Reading a store"),
    _large("lines", "Two million phrases.", "Opening JSON lines"),
    _large(
        "answers",
        "The most memory after each stage, beside that for a fifth of the expressions: 1 is flat.",
        "Evaluating many expressions",
    ),
    Section(
        "serving",
        "The server",
        "python benchmarks/serving.py",
        "What the server adds to the shipped grounder's detector, with all clients in another process.",
    ),
    Section(
        "command-line",
        "The command line",
        "python benchmarks/command_line.py",
        "Help, typing errors and missing files, each in a new process.",
    ),
    Section(
        "accelerator",
        "An accelerator",
        "python benchmarks/accelerator.py",
        "Forward passes, extraction, training and negatives on a GPU.",
        "**Never measured**, because no accelerator was at hand:",
    ),
)


def main() -> None:
    PAGE.write_text(page(RESULTS), encoding="utf-8")


def page(folder: Path) -> str:
    """Return the page for a folder of JSON files.

    Raises:
        DataError: a file is none that a benchmark wrote, or the page has no section for it.
    """
    names = {section.name for section in SECTIONS}
    if others := sorted(path for path in folder.glob("*.json") if path.stem not in names):
        raise DataError(
            f"{others[0]}: docs/make_performance.py has no section of this name; add one, or rename the file"
        )
    found = {section: _read(folder / f"{section.name}.json") for section in SECTIONS}
    measured = [each for each in found.values() if each is not None]
    parts = [INTRODUCTION, *_bars([figure for each in measured for figure in each.figures])]
    for section, measurement in found.items():
        parts += _section(section, measurement)
    return "\n\n".join(parts) + "\n"


def _read(path: Path) -> Measurement | None:
    if not path.exists():
        return None
    try:
        return Measurement.read(path)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{path}: not the JSON of a benchmark ({error!r}); run the benchmark again with --out"
        ) from error


def _bars(figures: Sequence[Figure]) -> Iterator[str]:
    """Yield what the page says of the bars."""
    judged = [figure for figure in figures if figure.met is not None]
    if not judged:
        return
    missed = [figure for figure in judged if not figure.met]
    yield f"{len(judged) - len(missed)} of {len(judged)} bars are met" + (", and these are missed:" if missed else ".")
    if missed:
        yield "\n".join(f"- {each.what}: {_value(each.value)} {each.unit}, bar {_bar(each)}" for each in missed)


def _section(section: Section, measured: Measurement | None) -> Iterator[str]:
    yield f"## {section.title}"
    if measured is None:
        yield f"{section.about}\n{section.missing}"
        yield f"    {section.command} --out benchmarks/results/{section.name}.json"
        return
    yield section.about
    yield f"    {measured.command}"
    versions = ", ".join(f"{name} {version}" for name, version in measured.versions.items())
    yield (
        f"{measured.machine}; {measured.threads} thread{'s' if measured.threads > 1 else ''}; {measured.clock}; "
        f"{measured.date}; {versions}."
    )
    headings = ["figure", "measured", "limit", "from the limit", "bar"]
    yield table(headings, map(_row, measured.figures))
    notes = [*measured.notes, *(f"Not run: {name}: {reason}" for name, reason in measured.not_run.items())]
    if notes:
        yield "\n".join(f"- {note}" for note in notes)


def _row(figure: Figure) -> list[str]:
    ends = [_value(each) for each in (figure.low, figure.high) if each is not None]
    spread = f" ({' to '.join(ends)})" if ends else ""
    limit = "-" if figure.limit is None else _value(figure.limit) + (f" ({figure.limit_is})" if figure.limit_is else "")
    distance = "-" if figure.from_limit is None else _value(figure.from_limit)
    verdict = "-" if figure.met is None else f"{_bar(figure)}: {'met' if figure.met else '**missed**'}"
    return [figure.what, f"{_value(figure.value)} {figure.unit}{spread}", limit, distance, verdict]


def _bar(figure: Figure) -> str:
    return f"at {'least' if figure.more_is_better else 'most'} {figure.bar:g}"


def _value(value: float) -> str:
    """Return a number with three digits, or more if it is 1,000 or above."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
