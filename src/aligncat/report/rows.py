"""Data of expressions and answers for the page: an overview of all, and details in chunks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncat.evaluation.answer_targets import named_in
from aligncat.files.table_file import blocks_of
from aligncat.report.scripts import InBlocks, number, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aligncat.files.table_file import TableRows
    from aligncat.report.splits import RunOnSplit, SplitRows

CHUNK = 250
"""Number of expressions per file of details."""

_PIXEL, _IOU, _SIZE = 1, 2, 5  # decimals; numbers make up most of a report's bytes


def overview(split: SplitRows, copies: Mapping[str, str], run_numbers: Mapping[Any, int]) -> dict[str, Any]:
    """Return the columns of all E expressions that the page's gallery, filters and orders need.

    Args:
        split: the split.
        copies: the file name of each picture's copy, by the picture's path.
        run_numbers: the page's number of every run.
    """
    rows = split.expressions
    columns = ("expression_id", "text", "kind", "referent_category", "same_category", "length")
    paths = rows.select(["image_path"])["image_path"].combine_chunks().dictionary_encode()
    places = paths.indices.to_numpy()
    sizes = np.empty((len(paths.dictionary), 2), np.int64)
    for axis, side in enumerate(("width", "height")):
        sizes[places, axis] = rows.select([side])[side].to_numpy()
    return {
        **{name: _column(rows, name) for name in columns},
        "size": _column(rows, "size", lambda values: numbers(values, _SIZE)),
        "truth": _column(rows, "truth_box", lambda values: [numbers(box, _PIXEL) for box in values]),
        "image": InBlocks(lambda: (part.tolist() for part in _parts(places))),
        "images": InBlocks(
            lambda: (
                [
                    {"file": copies.get(path), "name": Path(path).name, "width": width, "height": height}
                    for path, (width, height) in zip(own.to_pylist(), of_own.tolist(), strict=True)
                ]
                for own, of_own in zip(_parts(paths.dictionary), _parts(sizes), strict=True)
            )
        ),
        "answers": [{"run": run_numbers[key], **_answers_overview(run)} for key, run in split.runs.items()],
    }


def _answers_overview(run: RunOnSplit) -> dict[str, Any]:
    columns = ["cause", "choice", "boxes", "match", "several"]
    return {
        "labels": list(run.answers.labels),
        "cause": _column(run.rows, "cause"),
        "probability": _column(run.rows, "score", numbers),
        # Four numbers for each object that the answer names; null if it names none.
        "box": InBlocks(
            lambda: (
                [
                    [x for place in _named(run, row) for x in numbers(row["boxes"][4 * place : 4 * place + 4], _PIXEL)]
                    or None
                    for row in part.to_pylist()
                ]
                for block in blocks_of(run.rows, CHUNK, columns)
                for part in _parts(block)
            )
        ),
        **({} if _is_null(run.rows, "match") else {"match": _column(run.rows, "match", numbers)}),
    }


def _column(rows: TableRows, name: str, shown: Callable[[list[Any]], list[Any]] = list) -> InBlocks:
    """Return a column as the page shows it. All of it as Python objects would take many times its memory."""
    return InBlocks(
        lambda: (shown(part[name].to_pylist()) for block in blocks_of(rows, CHUNK, [name]) for part in _parts(block))
    )


def _parts(rows: Any) -> Iterator[Any]:
    """Yield CHUNK rows at a time of an array or a table."""
    return (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))


def _is_null(rows: TableRows, name: str) -> bool:
    return all(block[name].null_count == len(block) for block in blocks_of(rows, CHUNK, [name]))


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
    for row in run.rows.slice(start, CHUNK).to_pylist():
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
