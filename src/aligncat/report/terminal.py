"""Tables of results for the terminal, in percent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.console import DataTable, shown
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.metrics import PRECISION_THRESHOLDS, Metrics
from aligncat.evaluation.results import Metric, Result, Spread, Summary, summaries, summarise, with_floors
from aligncat.wording import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from aligncat.evaluation.answers import Answers
    from aligncat.studies.orderings import Ordering


def _precision(threshold: str) -> Metric:
    return lambda metrics: metrics.precision[threshold] if metrics.precision else None


_METRICS: dict[str, Metric] = {
    "REC": lambda metrics: metrics.rec,
    "REC oracle": lambda metrics: metrics.oracle_rec,
    "RES mIoU": lambda metrics: metrics.res_miou,
    "RES oracle": lambda metrics: metrics.oracle_res_miou,
    "Category": lambda metrics: metrics.category_accuracy,
}

_MASK_METRICS: dict[str, Metric] = {
    "oIoU": lambda metrics: metrics.res_oiou,
    **{f"P@{threshold}": _precision(str(threshold)) for threshold in PRECISION_THRESHOLDS},
}

_SET_METRICS: dict[str, Metric] = {
    "F1 = 1": lambda metrics: metrics.sets.precision if metrics.sets else None,
    "N-acc": lambda metrics: metrics.sets.n_acc if metrics.sets else None,
    "T-acc": lambda metrics: metrics.sets.t_acc if metrics.sets else None,
    "gIoU": lambda metrics: metrics.sets.giou if metrics.sets else None,
    "cIoU": lambda metrics: metrics.sets.ciou if metrics.sets else None,
}

_SLICE_METRICS: dict[str, Metric] = {
    "REC": lambda metrics: metrics.rec,
    "REC oracle": lambda metrics: metrics.oracle_rec,
    "RES mIoU": lambda metrics: metrics.res_miou,
    "Out of reach": lambda metrics: metrics.errors.out_of_reach if metrics.errors else None,
    "Other category": lambda metrics: metrics.errors.other_category if metrics.errors else None,
    "Same category": lambda metrics: metrics.errors.same_category if metrics.errors else None,
}

_CAPTION = "percent; ± sample standard deviation over the seeds, where they differ"

_SEEN = {
    "clean": "has not seen the images",
    "leaked": "HAS SEEN the images",
    "unknown": "may have seen the images",
}

_CLAIMED = {"clean": "said not to have seen the images", "leaked": "SAID TO HAVE SEEN the images"}


def results_table(results: Sequence[Result]) -> Table:
    """Return a table with one line per config and split, with mean and spread over the seeds.

    The baselines that need no training follow the configs of their split.

    Conditions (dataset, split-by, detector, ...) that all lines share are in the title; the others are columns.

    Raises:
        DataError: the results of a config and split cannot be summarised (`summarise`).
    """
    return _summary_table(with_floors(results), _METRICS)


def masks_table(results: Sequence[Result]) -> Table:
    """Return a table like `results_table` with further metrics of the chosen masks.

    Raises:
        DataError: the results of a config and split cannot be summarised (`summarise`).
    """
    return _summary_table(with_floors(results), _MASK_METRICS)


def sets_table(results: Sequence[Result]) -> Table | None:
    """Return a table like `results_table` with gRefCOCO's metrics, of the splits that have them; None if none has.

    Raises:
        DataError: the results of a config and split cannot be summarised (`summarise`).
    """
    found = [result for result in results if result.metrics.sets is not None]
    return _summary_table(found, _SET_METRICS) if found else None


def result_lines(results: Sequence[Result]) -> list[tuple[dict[str, str], int, dict[str, Spread | None]]]:
    """Return the lines of `results_table` and `masks_table` as values, and of `sets_table` if a split has its metrics.

    Returns:
        For each line the conditions by heading, the number of expressions, and the metrics by name.

    Raises:
        DataError: the results of a config and split cannot be summarised (`summarise`).
    """
    metrics = _METRICS | _MASK_METRICS
    if any(result.metrics.sets for result in results):
        metrics |= _SET_METRICS
    return [
        (
            _conditions(row),
            row.first.metrics.expressions,
            {name: row.metric(read) for name, read in metrics.items()},
        )
        for row in summaries(with_floors(results))
    ]


def slices_table(results: Sequence[Result]) -> Table:
    """Return a table with one line per config, split and slice (all, kinds, attributes by role) and the error shares.

    Raises:
        DataError: the results of a config and split cannot be summarised (`summarise`).
    """
    rows = summaries(results)
    table, varying = _empty_table(rows, ["Slice"], _SLICE_METRICS)
    for row in rows:
        for name in ("all", *row.first.metrics.slices()):
            cells = [_percent(row.metric(_of_slice(name, read))) for read in _SLICE_METRICS.values()]
            count = _slice(row.first.metrics, name).expressions
            table.add_row(*(_conditions(row)[column] for column in varying), name, str(count), *cells)
        table.add_section()
    return table


def study_table(
    title: str,
    labels: Mapping[str, str],
    results: Mapping[str, Mapping[str, Sequence[Result]]],
    paper: Mapping[str, Mapping[str, float]],
) -> Table:
    """Return a table of a study's REC by row and split, next to the REC published for RefCOCO, if any.

    Args:
        title: title of the study.
        labels: label of each row, by name.
        results: results over the seeds, by row and split.
        paper: published percentages by row and split; empty if the paper has no such table.

    Raises:
        DataError: the results of a row and split cannot be summarised (`summarise`).
    """
    rows = {name: {split: summarise(each) for split, each in splits.items()} for name, splits in results.items()}
    splits = list(next(iter(rows.values())))
    labels = {**labels}
    for name, floors in study_floors(results).items():
        rows[name], labels[name] = floors, name
    conditions = {**_conditions(rows[next(iter(rows))][splits[0]]), "Split": "", "Config": "", "Features": ""}
    shared = " · ".join(f"{name}: {value}" for name, value in conditions.items() if value)
    heading = shown(title, shared, style="table.title")
    table = DataTable(heading, caption=_CAPTION, collapse_padding=True)
    table.add_column("Row", overflow="fold")
    table.add_column("Features", overflow="fold")
    for split in splits:
        table.add_column(f"{split} REC", justify="right")
        if paper:
            table.add_column(f"{split} published, RefCOCO", justify="right")
    for name, summary in rows.items():
        cells: list[str] = []
        for split in splits:
            found = summary[split].metric(lambda metrics: metrics.rec) if split in summary else None
            cells.append(_percent(found))
            if paper:
                cells.append(f"{paper[name][split]:.2f}" if split in paper.get(name, {}) else "-")
        table.add_row(labels[name], next(iter(summary.values())).first.reads, *cells)
    return table


def study_floors(results: Mapping[str, Mapping[str, Sequence[Result]]]) -> dict[str, dict[str, Summary]]:
    """Return the baselines beside a study by name and split; empty for results of earlier versions.

    Args:
        results: results over the seeds, by row and split.
    """
    found: dict[str, dict[str, Summary]] = {}
    for split in dict.fromkeys(split for splits in results.values() for split in splits):
        group = [each for splits in results.values() for each in splits.get(split, ())]
        for floor in with_floors(group)[len(group) :]:
            found.setdefault(floor.config, {})[split] = summarise([floor])
    return found


def orderings_table(labels: Mapping[str, str], orderings: Sequence[Ordering]) -> Table:
    """Return a table of comparisons between rows: difference in REC, its interval, and whether the first is ahead."""
    caption = "points of REC, paired by seed and expression; 95% interval of the choice of seeds and images"
    table = DataTable("Is the first ahead?", caption=caption, collapse_padding=True)
    for name in ("First", "Second", "Split", "Published", "Here", "95% interval", "Ahead"):
        table.add_column(name, overflow="fold", justify="left" if name in ("First", "Second", "Split") else "right")
    for each in orderings:
        spread = "" if each.deviation is None else f" ± {each.deviation:.1f}"
        table.add_row(
            labels[each.better],
            labels[each.worse],
            each.split,
            "-" if each.paper is None else f"{each.paper:+.2f}",
            f"{each.ours:+.1f}{spread}",
            f"{each.low:+.1f} to {each.high:+.1f}",
            each.holds,
        )
    return table


def causes_table(answers: Answers) -> Table:
    """Return a table that counts the wrong answers of a grounder on a split by cause, for every kind of expression."""
    result = answers.result
    title = f"Causes of wrong answers · {result.config} · {result.dataset} {result.split}"
    rows = [row for name in ("all", "kind") for row in error_tables(answers).get(name, [])]
    table = DataTable(title, collapse_padding=True)
    for name in rows[0]:
        shown_as = "F1 = 1" if name == "rec" and result.metrics.sets else name.replace("_", " ")
        table.add_column(shown_as, justify="left" if name == "slice" else "right", overflow="fold")
    for row in rows:
        table.add_row(*(percent(v) if name == "rec" else str(v) for name, v in row.items()))
    return table


def _summary_table(results: Sequence[Result], metrics: Mapping[str, Metric]) -> Table:
    rows = summaries(results)
    table, varying = _empty_table(rows, [], metrics)
    for row in rows:
        cells = [_percent(row.metric(read)) for read in metrics.values()]
        table.add_row(*(_conditions(row)[name] for name in varying), str(row.first.metrics.expressions), *cells)
    return table


def _slice(metrics: Metrics, name: str) -> Metrics:
    return metrics if name == "all" else metrics.slices()[name]


def _of_slice(name: str, read: Metric) -> Metric:
    return lambda metrics: read(_slice(metrics, name))


def _conditions(row: Summary) -> dict[str, str]:
    """Return the conditions that a line of results always states, by heading."""
    return {
        "Dataset": row.first.dataset,
        "Split by": row.first.split_by or "none",
        "Detector": detector_in_result(row.first),
        "Detector's training": detector_training(row.first),
        "Features": row.first.reads,
        "Split": row.first.split,
        "Config": row.first.config,
        "Seeds": ", ".join("none" if seed is None else str(seed) for seed in row.seeds),
    }


def detector_in_result(result: Result) -> str:
    """Return the detector's name, and that RES is not measured if it gives boxes alone."""
    return f"{result.detector} (boxes alone: RES is not measured)" if result.boxes_alone else result.detector


def detector_training(result: Result) -> str:
    """Return a phrase that says whether the detector has seen the split's images, and how many if that is known."""
    if result.seen_claimed:
        return _CLAIMED[result.seen]
    if result.seen == "leaked" and result.images_seen is not None:
        return f"HAS SEEN {result.images_seen:,} of {result.images:,} images"
    return _SEEN[result.seen]


def _empty_table(
    rows: Sequence[Summary], names: Sequence[str], metrics: Mapping[str, Metric]
) -> tuple[Table, list[str]]:
    """Return a table without lines, and the conditions that differ between the rows.

    Conditions that all rows share are in the title; the others are the first columns.
    """
    lines = [_conditions(row) for row in rows]
    values = {name: list(dict.fromkeys(line[name] for line in lines)) for name in (lines[0] if lines else ())}
    title = " · ".join(f"{name}: {value[0]}" for name, value in values.items() if len(value) == 1)
    varying = [name for name, value in values.items() if len(value) > 1]
    table = DataTable(title, caption=_CAPTION, collapse_padding=True)
    for name in (*varying, *names):
        table.add_column(name, overflow="fold")
    for name in ("N", *metrics):
        table.add_column(name, justify="right", overflow="fold")  # fold, since a cut-off digit would mislead
    return table, varying


def _percent(spread: Spread | None) -> str:
    """Return mean and deviation in percent, without a deviation of 0."""
    return "-" if spread is None else percent(spread.mean, spread.deviation or None)
