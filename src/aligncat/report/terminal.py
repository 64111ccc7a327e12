"""Results as tables to read, in percent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.metrics import PRECISION_THRESHOLDS, Metrics
from aligncat.evaluation.results import Metric, Result, Spread, Summary, summaries, summarise
from aligncat.wording import percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

_SAID = {"clean": "said not to have seen the images", "leaked": "SAID TO HAVE SEEN the images"}


def results_table(results: Sequence[Result]) -> Table:
    """One line a config and split, with mean and spread over the seeds.

    Of what a line must always say (dataset, split-by, detector, ...), what all lines share stands in the
    title, and the rest in columns.

    Raises:
        DataError: results of one config and split do not fit each other (`summarise`).
    """
    return _one_line_each(results, _METRICS)


def masks_table(results: Sequence[Result]) -> Table:
    """As `results_table`, with what else is measured of the chosen masks.

    Raises:
        DataError: results of one config and split do not fit each other (`summarise`).
    """
    return _one_line_each(results, _MASK_METRICS)


def result_lines(results: Sequence[Result]) -> list[tuple[dict[str, str], int, dict[str, Spread | None]]]:
    """The lines of `results_table` and `masks_table` as values: the words, the number of expressions, the metrics.

    Raises:
        DataError: results of one config and split do not fit each other (`summarise`).
    """
    return [
        (
            _said(row),
            row.first.metrics.expressions,
            {name: row.metric(read) for name, read in (_METRICS | _MASK_METRICS).items()},
        )
        for row in summaries(results)
    ]


def slices_table(results: Sequence[Result]) -> Table:
    """Return one line for each config, split and slice (all, kinds, attributes by role), with `ErrorShares`.

    Raises:
        DataError: results of one config and split do not fit each other (`summarise`).
    """
    rows = summaries(results)
    table, said = _table(rows, ["Slice"], _SLICE_METRICS)
    for row in rows:
        for name in ("all", *row.first.metrics.slices()):
            cells = [_percent(row.metric(_of_slice(name, read))) for read in _SLICE_METRICS.values()]
            count = _slice(row.first.metrics, name).expressions
            table.add_row(*(_said(row)[column] for column in said), name, str(count), *cells)
        table.add_section()
    return table


def study_table(
    title: str,
    labels: Mapping[str, str],
    results: Mapping[str, Mapping[str, Sequence[Result]]],
    paper: Mapping[str, Mapping[str, float]],
) -> Table:
    """REC of the rows of a study on every split, with the published one on RefCOCO beside it where there is one.

    Args:
        title: of the study.
        labels: by row.
        results: by row and split, those of its seeds.
        paper: percent by row and split; empty where the paper has no such table.

    Raises:
        DataError: the results of a row and split do not fit each other (`summarise`).
    """
    rows = {name: {split: summarise(each) for split, each in splits.items()} for name, splits in results.items()}
    splits = list(next(iter(rows.values())))
    said = {**_said(rows[next(iter(rows))][splits[0]]), "Split": "", "Config": ""}
    shared = " · ".join(f"{name}: {value}" for name, value in said.items() if value)
    table = Table(title=f"{title}\n{shared}", caption=_CAPTION, box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("Row", overflow="fold")
    for split in splits:
        table.add_column(f"{split} REC", justify="right")
        if paper:
            table.add_column(f"{split} published, RefCOCO", justify="right")
    for name, summary in rows.items():
        cells: list[str] = []
        for split in splits:
            cells.append(_percent(summary[split].metric(lambda metrics: metrics.rec)))
            if paper:
                cells.append(f"{paper[name][split]:.2f}" if split in paper.get(name, {}) else "-")
        table.add_row(labels[name], *cells)
    return table


def orderings_table(labels: Mapping[str, str], orderings: Sequence[Ordering]) -> Table:
    """Comparisons of rows: the difference in points of REC, its interval, and whether the first row is ahead."""
    caption = "points of REC, paired by seed and expression; 95% interval of the choice of seeds and images"
    table = Table(title="Is the first ahead?", caption=caption, box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
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
    """Wrong answers of one grounder on one split by cause, in counts, for every kind of expression."""
    result = answers.result
    title = f"Causes of wrong answers · {result.config} · {result.dataset} {result.split}"
    rows = [row for name in ("all", "kind") for row in error_tables(answers).get(name, [])]
    table = Table(title=title, box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="left" if name == "slice" else "right", overflow="fold")
    for row in rows:
        table.add_row(*(percent(v) if name == "rec" else str(v) for name, v in row.items()))
    return table


def _one_line_each(results: Sequence[Result], metrics: Mapping[str, Metric]) -> Table:
    rows = summaries(results)
    table, said = _table(rows, [], metrics)
    for row in rows:
        cells = [_percent(row.metric(read)) for read in metrics.values()]
        table.add_row(*(_said(row)[name] for name in said), str(row.first.metrics.expressions), *cells)
    return table


def _slice(metrics: Metrics, name: str) -> Metrics:
    return metrics if name == "all" else metrics.slices()[name]


def _of_slice(name: str, read: Metric) -> Metric:
    return lambda metrics: read(_slice(metrics, name))


def _said(row: Summary) -> dict[str, str]:
    """The words that a result line always says, by heading."""
    return {
        "Dataset": row.first.dataset,
        "Split by": row.first.split_by or "none",
        "Detector": row.first.detector,
        "Detector's training": detector_training(row.first),
        "Split": row.first.split,
        "Config": row.first.config,
        "Seeds": ", ".join("none" if seed is None else str(seed) for seed in row.seeds),
    }


def detector_training(result: Result) -> str:
    """Whether the detector has seen the images of the split, in words, and how many; or what was said of it."""
    if result.seen_claimed:
        return _SAID[result.seen]
    if result.seen == "leaked" and result.images_seen is not None:
        return f"HAS SEEN {result.images_seen:,} of {result.images:,} images"
    return _SEEN[result.seen]


def _table(rows: Sequence[Summary], names: Sequence[str], metrics: Mapping[str, Metric]) -> tuple[Table, list[str]]:
    """A table titled with what the rows share, and the headings of its first columns: what they do not."""
    said = [_said(row) for row in rows]
    values = {name: list(dict.fromkeys(line[name] for line in said)) for name in (said[0] if said else ())}
    title = " · ".join(f"{name}: {value[0]}" for name, value in values.items() if len(value) == 1)
    varying = [name for name, value in values.items() if len(value) > 1]
    table = Table(title=title, caption=_CAPTION, box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in (*varying, *names):
        table.add_column(name, overflow="fold")
    for name in ("N", *metrics):
        table.add_column(name, justify="right", overflow="fold")  # a digit is never cut off
    return table, varying


def _percent(spread: Spread | None) -> str:
    """Return mean and deviation in percent; a deviation of 0 is left out."""
    return "-" if spread is None else percent(spread.mean, spread.deviation or None)
