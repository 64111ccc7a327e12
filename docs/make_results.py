"""Write docs/results.md and the model card of the shipped grounder from docs/results/*.json.

    python docs/make_results.py [--studies ablations/*.json] [--shipped results/*.json]

--studies first imports files that `aligncat ablate` wrote. --shipped first imports the results of the shipped grounder
and of the same training with other seeds. Both keep only the fields that the page shows. Do not edit results.md by
hand; docs/findings.md holds the interpretation.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aligncat.datasets.known import KNOWN
from aligncat.errors import DataError
from aligncat.evaluation.floors import MOST_CONFIDENT
from aligncat.evaluation.paper_tables import Column, Task
from aligncat.evaluation.published import published_ablation, published_tables, published_values
from aligncat.evaluation.results import Metric, Result, Summary, summarise
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.model_card import write_model_card
from aligncat.grounder.names import TRAINING_FREE
from aligncat.report.card import card_results
from aligncat.report.terminal import detector_training, study_floors
from aligncat.wording import percent

ROOT = Path(__file__).resolve().parent
RESULTS, PAGE = ROOT / "results", ROOT / "results.md"
SHIPPED_RESULTS, SPEED = "shipped-grounder.json", "speed.json"
FLOOR_LABELS = {MOST_CONFIDENT: "most confident of the right category", TRAINING_FREE: "no training"}
KINDS = ("category", "place", "relation", "color", "size", "order", "texture", "clothes", "action")
BEYOND = "plus"
"""The study whose rows the page compares first."""
DECIMALS = 5
TITLES = {name: known.title for name, known in KNOWN.items() if known.title is not None}
INTRODUCTION = """# Results on MojiRef

`python docs/make_results.py` generates this page from the files in `docs/results/`. [findings.md](findings.md)
interprets the numbers, and [experiments.md](experiments.md) describes how they are measured. Commands such as

    aligncat ablate table3 --data.path mojiref --data.dataset mojiref --store store --out ablations

wrote the files. All rows of a study share the preset (`configs/mojiref.yaml`), data, candidates and number of steps.
The seed determines initial weights, sampled sentences, their order and dropout. Metrics are in percent: mean ± sample
standard deviation over the seeds.

- **REC**: share of the expressions whose chosen box passes IoU 0.5.
- **RES mIoU**: mean IoU of the masks.
- **oracle**: the metric to its left if the best candidate were always chosen.
- **out of reach**, **other category**, **same category**: shares of wrong answers. No candidate passes; or one passes,
  and the chosen object is of another category than the referent, or of the same one. The
  [causes of errors](experiments.md#shares-and-causes-of-errors) are a separate list.
- **published**: the paper's value on RefCOCO, not measured here."""


@dataclass(frozen=True)
class StoredRow:
    """A row of a stored study: its results by split, one per seed."""

    name: str
    label: str
    splits: Mapping[str, Summary]


@dataclass(frozen=True)
class StudyFile:
    """A study on one dataset, as `aligncat ablate` stored it, and the baselines beside its rows, if it has them.

    `train` describes the training split; files of earlier versions lack it.
    """

    study: str
    title: str
    dataset: str
    rows: tuple[StoredRow, ...]
    orderings: Sequence[Mapping[str, Any]]
    train: Mapping[str, Any] | None
    floors: tuple[StoredRow, ...] = ()

    def row(self, name: str) -> StoredRow | None:
        return next((row for row in self.rows if row.name == name), None)


def main() -> None:
    """Import the given files, then write the page and the card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=Path, nargs="+", default=[], help="JSON files that `aligncat ablate` wrote")
    parser.add_argument("--shipped", type=Path, nargs="+", default=[], help="JSON files that `aligncat evaluate` wrote")
    arguments = parser.parse_args()
    for path in arguments.studies:
        write_json(RESULTS / path.name, cut_study(read_json(path)))
    if arguments.shipped:
        results = [cut_result(Result.load(path).to_json()) for path in arguments.shipped]
        write_json(RESULTS / SHIPPED_RESULTS, {"weights_sha256": shipped_weights(), "results": results})
    PAGE.write_text(page(RESULTS), encoding="utf-8")
    write_model_card(SHIPPED, card_results(read_shipped(RESULTS / SHIPPED_RESULTS)))


def page(folder: Path) -> str:
    """Return the page for a folder of JSON files.

    Raises:
        DataError: if a file is not a stored study or result.
    """
    own = (SHIPPED_RESULTS, SPEED)
    files = [read_study(path) for path in sorted(folder.glob("*.json")) if path.name not in own]
    files.sort(key=lambda each: (not published_ablation(each.study), each.study, [*TITLES].index(each.dataset)))
    parts = [INTRODUCTION, *beyond_section([file for file in files if file.study == BEYOND])]
    for file in files:
        parts += study_section(file)
    parts += aims_section([file for file in files if file.study == "table3"])
    if (folder / SHIPPED_RESULTS).exists():
        parts += shipped_section(read_shipped(folder / SHIPPED_RESULTS))
    if (folder / SPEED).exists():
        rows = [[row["what"], row["measured"], row["how"]] for row in read_json(folder / SPEED)]
        parts += ["## Speed", table(["what", "measured", "how"], rows)]
    parts += published_section()
    return "\n\n".join(parts) + "\n"


def beyond_section(files: Sequence[StudyFile]) -> list[str]:
    """Return the section that compares, for each dataset, the rows beyond the paper with the paper's and the oracle."""
    if not files:
        return []
    splits = list(dict.fromkeys(split for file in files for row in file.rows for split in row.splits))
    rows = []
    for file in files:
        shown = [(row.label, row, METRICS[0]) for row in (*file.rows, *file.floors)]
        for label, row, read in (*shown, ("oracle", file.rows[0], METRICS[1])):
            values = [spread(row.splits[split], read) if split in row.splits else "-" for split in splits]
            rows.append([TITLES[file.dataset], label, *values])
    return [
        "## In short: REC with appearance and relations",
        "What the rows are, and how they were trained, is in the sections below.",
        table(["dataset", "row", *splits], rows),
    ]


def study_section(file: StudyFile) -> list[str]:
    """Return the section of a study: metrics by row and split, comparisons, and REC by needed attribute."""
    parts = [f"## {file.title[0].upper()}{file.title[1:]}, on {TITLES[file.dataset]}", conditions(file)]
    paper = published_ablation(file.study)
    headings = ["REC", "oracle", "RES mIoU", "oracle", "out of reach", "other category", "same category"]
    rows = [
        [row.label, f"`{row.name}`", split, *(spread(summary, read) for read in METRICS)]
        + ([f"{paper[row.name][split]:.2f}" if split in paper.get(row.name, {}) else "-"] if paper else [])
        for row in (*file.rows, *file.floors)
        for split, summary in row.splits.items()
    ]
    parts.append(table(["row", "preset", "split", *headings, *(["published REC, RefCOCO"] if paper else [])], rows))
    both = (*file.rows, *file.floors)
    means = [[row.label, *(over_splits(row, read) for read in (METRICS[0], METRICS[5]))] for row in both]
    splits = ", ".join(file.rows[0].splits)
    parts.append(table([f"mean of {splits}", "REC", "other category"], means))
    if file.orderings:
        parts += ["Is the first row ahead of the second? REC, points:", orderings_table(file)]
    if needed := needs_table(file):
        parts += [
            "REC on val by the one attribute that a phrase needs to single out the referent. Under *category* are the "
            "phrases that need no attribute.",
            needed,
        ]
    return parts


def conditions(file: StudyFile) -> str:
    """Return the conditions shared by all metrics of a study: division, expressions, detector and seeds."""
    splits = file.rows[0].splits
    first = next(iter(splits.values())).first
    seen = {name: detector_training(summary.first) for name, summary in splits.items()}
    same = len(set(seen.values())) == 1
    about = (
        next(iter(seen.values())) if same else "; ".join(f"{name}: it {training}" for name, training in seen.items())
    )
    counts = ", ".join(f"{name} {summary.first.metrics.expressions:,}" for name, summary in splits.items())
    seeds = ", ".join(map(str, next(iter(splits.values())).seeds))
    trained = (
        ""
        if file.train is None
        else f"Trained on {file.train['images']:,} images with {file.train['expressions']:,} expressions. "
    )
    return (
        f"{trained}Split by {first.split_by or 'none'}; expressions: {counts}; detector {first.detector}, "
        f"which {about}; seeds {seeds}."
    )


def orderings_table(file: StudyFile) -> str:
    """Return the table of the study's pairwise comparisons of rows."""
    labels = {row.name: row.label for row in file.rows}
    rows = [
        [
            labels[each["better"]],
            labels[each["worse"]],
            each["split"],
            "-" if each["paper"] is None else f"{each['paper']:+.2f}",
            f"{each['ours']:+.1f}" + ("" if each["deviation"] is None else f" ± {each['deviation']:.1f}"),
            f"{each['low']:+.1f} to {each['high']:+.1f}",
            each["holds"],
        ]
        for each in file.orderings
    ]
    return table(["first", "second", "split", "published, RefCOCO", "here", "95% interval", "ahead"], rows)


def needs_table(file: StudyFile) -> str:
    """Return REC on val by kind of phrase, as mean over the seeds; empty if the data records no kinds."""
    rows = {row.label: row.splits["val"] for row in (*file.rows, *file.floors) if "val" in row.splits}
    found = [name for name in KINDS if any(name in summary.first.metrics.by_kind for summary in rows.values())]
    lines = [[label, *(mean(summary, of_kind(name)) for name in found)] for label, summary in rows.items()]
    return table(["row", *found], lines) if found else ""


def aims_section(files: Sequence[StudyFile]) -> list[str]:
    """Return the section that compares AlignCAT with QueryMatch, paired by seed, against the goals set beforehand."""
    lines: list[list[str]] = [
        ["AlignCAT at least 3 points above QueryMatch (REC)"],
        ["other-category errors at most half of QueryMatch's"],
        ["AlignCAT at least 75% of the oracle (REC)"],
    ]
    held = [(file, file.row("aligncat"), file.row("querymatch")) for file in files]
    shown = [(file, ours, theirs) for file, ours, theirs in held if ours and theirs]
    for file, ours, theirs in shown:
        pairs = zip(by_seed(ours, METRICS[0]), by_seed(theirs, METRICS[0]), strict=True)
        margins = [100 * (one - other) for one, other in pairs]
        wrong, their_wrong = (statistics.fmean(by_seed(row, METRICS[5])) for row in (ours, theirs))
        share = statistics.fmean(by_seed(ours, METRICS[0])) / statistics.fmean(by_seed(ours, METRICS[1]))
        lines[0].append(f"{yes(statistics.fmean(margins) >= 3)} ({signed(margins)})")
        lines[1].append(f"{yes(2 * wrong <= their_wrong)} ({100 * wrong:.1f} against {100 * their_wrong:.1f})")
        verdict = yes(share >= 0.75) if file.dataset == "mojiref" else "no goal"
        lines[2].append(f"{verdict} ({100 * share:.1f}%)")
    if not shown:
        return []
    headings = ["goal, on the mean of the splits", *(TITLES[file.dataset] for file, _, _ in shown)]
    return ["## Goals set before the first results", table(headings, lines)]


def shipped_section(results: Sequence[Result]) -> list[str]:
    """Return the section of the shipped grounder, with the commands that train it."""
    seed = read_json(SHIPPED / "config.json")["provenance"]["training"]["seed"]
    own = [result for result in results if result.seed == seed]
    first = own[0]
    rows = [
        [
            r.split,
            f"{r.metrics.expressions:,}",
            *(percent(read(r.metrics)) for read in (*METRICS[:4], *SHIPPED_METRICS)),
        ]
        for r in own
    ]
    headings = ["REC", "oracle", "RES mIoU", "oracle", "oIoU", "category read right"]
    return [
        "## The shipped grounder",
        f"`{first.config}` with seed {seed}, trained on the default {TITLES[first.dataset]}:",
        "\n".join(
            f"    {command}"
            for command in (
                "aligncat data mojiref --out mojiref",
                "aligncat extract --data.path mojiref --data.dataset mojiref --appearance true --out store",
                "aligncat train --config mojiref --alignment aligncat-plus --data.path mojiref --store store --out "
                "runs/mojiref",
                "aligncat evaluate --grounder runs/mojiref --data.path mojiref --data.dataset mojiref --store store",
            )
        ),
        f"Split by {first.split_by or 'none'}; detector {first.detector}, which {detector_training(first)}. "
        "The model card\n(`src/aligncat/assets/mojiref-grounder/README.md`) "
        + ("shows the spread over the seeds." if len(own) < len(results) else "is of this seed alone."),
        table(["split", "expressions", *headings], rows),
    ]


def published_section() -> list[str]:
    """Return the section with the values that others published, of systems whose proposals are known."""
    columns = next(each.columns for each in published_tables() if each.study is None)
    best = {task: [best_system(task, column) for column in columns] for task in TASKS}
    ahead = {task: sum(name == "AlignCAT" for name in names) for task, names in best.items()}
    parts = [
        "## Published on RefCOCO, RefCOCO+ and RefCOCOg",
        "None of these values was measured here. **AlignCAT is not the best published system**: of the "
        f"{len(columns)} splits below, it has the highest REC on {ahead['rec'] or 'none'} and the highest RES mIoU on "
        f"{ahead['res'] or 'none'}. The systems choose from different proposals and use different backbones, so this "
        "is no comparison of methods alone.",
    ]
    for task, heading in TASKS.items():
        values: dict[tuple[str, str, str], dict[Column, float]] = {}
        for column in columns:
            for each in published_values(column.dataset, column.split, column.split_by, task):
                if each.row.proposals is not None:
                    key = (each.row.name, each.row.proposals, each.table.source)
                    values.setdefault(key, {})[column] = each.value
        rows = [[*key, *(f"{of[each]:.2f}" if each in of else "-" for each in columns)] for key, of in values.items()]
        names = [f"{column.dataset} {column.split}" for column in columns]
        parts.append(table([f"{heading}, published", "proposals", "from", *names], rows))
    notes = [f"{each.source}: {each.note}" for each in published_tables() if each.study is None and each.note]
    return [*parts, "\n".join(f"- {note}" for note in dict.fromkeys(notes))]


def best_system(task: Task, column: Column) -> str:
    """Return the system with the highest published value on a split."""
    found = published_values(column.dataset, column.split, column.split_by, task)
    return max(found, key=lambda each: each.value).row.name


TASKS: dict[Task, str] = {"rec": "REC", "res": "RES mIoU"}
METRICS: tuple[Metric, ...] = (
    lambda metrics: metrics.rec,
    lambda metrics: metrics.oracle_rec,
    lambda metrics: metrics.res_miou,
    lambda metrics: metrics.oracle_res_miou,
    lambda metrics: metrics.errors.out_of_reach if metrics.errors else None,
    lambda metrics: metrics.errors.other_category if metrics.errors else None,
    lambda metrics: metrics.errors.same_category if metrics.errors else None,
)
SHIPPED_METRICS: tuple[Metric, ...] = (
    lambda metrics: metrics.res_oiou,
    lambda metrics: metrics.category_accuracy,
)


def of_kind(name: str) -> Metric:
    """Return the metric "REC of the phrases of a kind"."""
    return lambda metrics: metrics.by_kind[name].rec if name in metrics.by_kind else None


def by_seed(row: StoredRow, read: Metric) -> list[float]:
    """Return a metric's mean over the splits, one value per seed."""
    columns = [[read(result.metrics) for result in summary.results] for summary in row.splits.values()]
    return [statistics.fmean(value for value in values if value is not None) for values in zip(*columns, strict=True)]


def over_splits(row: StoredRow, read: Metric) -> str:
    """Return a metric's mean over the splits, with its spread over the seeds."""
    values = [100 * value for value in by_seed(row, read)]
    return f"{statistics.fmean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def signed(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):+.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def spread(summary: Summary, read: Metric) -> str:
    found = summary.metric(read)
    return "-" if found is None else percent(found.mean, found.deviation, plus_minus=" ± ")


def mean(summary: Summary, read: Metric) -> str:
    found = summary.metric(read)
    return percent(None if found is None else found.mean)


def yes(holds: bool) -> str:
    return "yes" if holds else "no"


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    headings = list(headings)
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def read_study(path: Path) -> StudyFile:
    """Read a stored study.

    Raises:
        DataError: if the file is not a study.
    """
    content = read_json(path)
    try:
        rows = tuple(StoredRow(row["name"], row["label"], by_split(row["results"], path)) for row in content["rows"])
        file = StudyFile(
            content["study"],
            content["title"],
            content["dataset"],
            rows,
            content["orderings"],
            content.get("train"),
            floors_of(rows),
        )
        if file.dataset not in TITLES or not rows or not all(row.splits for row in rows):
            raise ValueError("unknown dataset, or no results")
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path} is not a study that `aligncat ablate` wrote: {error!r}") from error
    return file


def floors_of(rows: Sequence[StoredRow]) -> tuple[StoredRow, ...]:
    """Return the baselines that need no training as further rows; none for files of earlier versions."""
    results = {row.name: {name: each.results for name, each in row.splits.items()} for row in rows}
    return tuple(StoredRow(name, FLOOR_LABELS.get(name, name), each) for name, each in study_floors(results).items())


def by_split(results: Sequence[Mapping[str, Any]], path: Path) -> dict[str, Summary]:
    """Return a row's results by split, in the order of the file."""
    found: dict[str, list[Result]] = {}
    for values in results:
        result = Result.from_json(values, str(path))
        found.setdefault(result.split, []).append(result)
    return {split: summarise(each) for split, each in found.items()}


def read_shipped(path: Path) -> list[Result]:
    """Read the results of the shipped grounder.

    Raises:
        DataError: if the file cannot be read or its results belong to other weights.
    """
    content = read_json(path)
    if content["weights_sha256"] != shipped_weights():
        raise DataError(
            f"{path} holds results of other weights than the shipped ones; "
            "evaluate the shipped grounder and import the results with --shipped"
        )
    return [Result.from_json(values, str(path)) for values in content["results"]]


def shipped_weights() -> str:
    return hashlib.sha256((SHIPPED / "model.safetensors").read_bytes()).hexdigest()


def cut_study(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a study's content with only the fields that the page shows."""
    rows = [{**row, "results": [cut_result(each) for each in row["results"]]} for row in content["rows"]]
    return {**content, "detector": cut_folder(content["detector"]), "rows": rows}


def cut_result(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result with the slices of KINDS only, without their precision, and without the detector's folders."""
    cut = {**values, "detector": cut_folder(values["detector"]), "scores": cut_scores(values["scores"])}
    if "floors" in values:
        floors = values["floors"]
        cut["floors"] = {name: cut_scores(each) if isinstance(each, dict) else each for name, each in floors.items()}
    return cut


def cut_folder(detector: str) -> str:
    """Return a detector's name without the folder in which it lay."""
    return Path(detector).name if Path(detector).is_absolute() else detector


def cut_scores(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics with the slices of KINDS only, and without the precision of these slices."""
    scores = {name: value for name, value in values.items() if not name.startswith("by_")}
    kinds = {name: {**each, "precision": None} for name, each in values.get("by_kind", {}).items()}
    return {**scores, "by_kind": {name: kinds[name] for name in KINDS if name in kinds}}


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(rounded(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def rounded(content: Any) -> Any:
    """Return the content with every float rounded to DECIMALS."""
    if isinstance(content, float):
        return round(content, DECIMALS)
    if isinstance(content, dict):
        return {key: rounded(value) for key, value in content.items()}
    return [rounded(value) for value in content] if isinstance(content, list) else content


if __name__ == "__main__":
    main()
