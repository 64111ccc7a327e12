"""Data of expressions and answers for the page: an overview of all, and details in chunks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aligncat.evaluation.answer_targets import named_in
from aligncat.report.scripts import number, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligncat.report.splits import RunOnSplit, SplitRows

CHUNK = 250
"""Number of expressions per file of details."""

_PIXEL, _IOU, _SIZE = 1, 2, 5  # decimals; numbers make up most of a report's bytes


def overview(split: SplitRows, copies: Mapping[str, str | None], run_numbers: Mapping[Any, int]) -> dict[str, Any]:
    """Return the columns of all E expressions that the page's gallery, filters and orders need.

    Args:
        split: the split.
        copies: file name of each picture's copy, by path; None if the picture is missing.
        run_numbers: the page's number of every run.
    """
    columns = split.expressions.select(
        ["expression_id", "text", "kind", "referent_category", "same_category", "length"]
    ).to_pydict()
    paths = split.expressions["image_path"].to_pylist()
    sizes = zip(paths, *(split.expressions[side].to_pylist() for side in ("width", "height")), strict=True)
    places = {path: place for place, path in enumerate(dict.fromkeys(paths))}
    images = {path: {"file": copies[path], "name": Path(path).name, "width": w, "height": h} for path, w, h in sizes}
    return {
        **columns,
        "size": numbers(split.expressions["size"].to_pylist(), _SIZE),
        "truth": [numbers(box, _PIXEL) for box in split.expressions["truth_box"].to_pylist()],
        "image": [places[path] for path in paths],
        "images": list(images.values()),
        "answers": [{"run": run_numbers[key], **_answers_overview(run)} for key, run in split.runs.items()],
    }


def _answers_overview(run: RunOnSplit) -> dict[str, Any]:
    columns = ["cause", "choice", "boxes", "match", "several"]
    match = run.table["match"].to_pylist()
    return {
        "labels": list(run.answers.labels),
        "cause": run.table["cause"].to_pylist(),
        "probability": numbers(run.table["score"].to_pylist()),
        # Four numbers for each object that the answer names; null if it names none.
        "box": [
            [x for place in _named(run, row) for x in numbers(row["boxes"][4 * place : 4 * place + 4], _PIXEL)] or None
            for start in range(0, len(run.table), CHUNK)  # the boxes of all rows take gigabytes as Python objects
            for row in run.table.slice(start, CHUNK).select(columns).to_pylist()
        ],
        **({} if match == [None] * len(match) else {"match": numbers(match)}),
    }


def _named(run: RunOnSplit, row: Mapping[str, Any]) -> list[int]:
    """Return the candidates that a row's answer names; none where the run has no answer."""
    return [] if row["cause"] is None else named_in(row, run.answers.result.metrics.sets)


def expression_details(split: SplitRows, start: int) -> list[dict[str, Any]]:
    """Return the details of CHUNK expressions from `start` on that are the same for all runs."""
    rows = split.expressions.slice(start, CHUNK).select(["referent_id", "needed", "redundant", "truth_mask"])
    return [{**row, "truth_mask": _text(row["truth_mask"])} for row in rows.to_pylist()]


def answer_details(run: RunOnSplit, start: int) -> dict[str, Any]:
    """Return the details of a run's CHUNK answers from `start` on.

    Returns:
        "candidates": the sets of candidates, each once, since the expressions of an image share one. "rows": the
        answers, each with the index of its candidates; None where the run has no answer.
    """
    places: dict[tuple[Any, ...], int] = {}
    sets: list[dict[str, Any]] = []
    rows: list[dict[str, Any] | None] = []
    for row in run.table.slice(start, CHUNK).to_pylist():
        if row["cause"] is None:
            rows.append(None)
            continue
        key = (row["image_id"], tuple(row["boxes"]), tuple(row["categories"]))
        if key not in places:
            places[key] = len(sets)
            sets.append(_candidates(row))
        rows.append({"candidates": places[key], **_answer(row, _named(run, row))})
    return {"candidates": sets, "rows": rows}


def _candidates(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "boxes": numbers(row["boxes"], _PIXEL),
        "categories": row["categories"],
        "confidences": numbers(row["confidences"]),
    }


def _answer(row: Mapping[str, Any], named: list[int]) -> dict[str, Any]:
    scores = {name: numbers(row[f"{name}_scores"]) for name in ("class", "global", "coarse", "fine")}
    return {
        "named": named,
        "box_iou": number(row["box_iou"]),
        "mask_iou": number(row["mask_iou"]),
        "mask": _text(row["chosen_mask"]) if named else None,
        "predicted": row["predicted_category"],
        "matched": row["category_matched"],
        "words": row["words"],
        "weights": numbers(row["word_weights"]),
        "kept": [int(kept) for kept in row["kept"]],
        "probabilities": numbers(row["probabilities"]),
        "ious": numbers(row["ious"], _IOU),
        "scores": {name: values for name, values in scores.items() if values},
    }


def _text(counts: bytes | None) -> str | None:
    """Return COCO's compressed run lengths as text; they are ASCII."""
    return None if counts is None else counts.decode("ascii")
