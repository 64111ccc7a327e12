"""Tables of the page, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aligncat.evaluation.causes import CAUSES
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.published import published_values
from aligncat.report.scripts import number
from aligncat.report.terminal import result_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligncat.evaluation.answers import Answers
    from aligncat.evaluation.results import Result, Spread


def results(of: Sequence[Result]) -> list[dict[str, Any]]:
    """Return a line for every config and split: the conditions, and the metrics in percent.

    Raises:
        DataError: the results of a config and split cannot be summarised (`aligncat.evaluation.results.summarise`).
    """
    return [
        {
            "words": list(words.items()),
            "expressions": expressions,
            "metrics": [[name, *_percent(spread)] for name, spread in metrics.items()],
        }
        for words, expressions, metrics in result_lines(of)
    ]


def published(of: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the values published for the same splits: a line for every system and split, in percent.

    Args:
        of: one result per split.

    Returns:
        Lines with "dataset", "split", "split_by", "system", "proposals" ("" if unknown), "source", "rec" and "res"
        (None if not published).
    """
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    for result in of:
        for found in published_values(result.dataset, result.split, result.split_by):
            column, row, paper = found.column, found.row, found.table.source
            key = {"dataset": column.dataset, "split": column.split, "split_by": column.split_by, "system": row.name}
            key["proposals"] = row.proposals or ""
            key["source"] = f"{row.venue}, as in {paper}" if row.venue else paper
            line = lines.setdefault(tuple(key.values()), {**key, "rec": None, "res": None})
            line[found.table.task] = found.value
    return list(lines.values())


def _percent(spread: Spread | None) -> tuple[float | None, float | None]:
    if spread is None:
        return None, None
    return number(100 * spread.mean), None if spread.deviation is None else number(100 * spread.deviation)


def errors(answers: Answers) -> list[dict[str, Any]]:
    """Return counts of right answers and of causes of wrong ones, for each way of slicing the expressions.

    Returns:
        "by" and "rows" for each slicing. A row has "slice", "expressions", "rec" (a fraction) and "causes", the counts
        in the order of CAUSES.
    """
    return [
        {"by": by, "rows": [_error_row(row) for row in table]} for by, table in error_tables(answers).items() if table
    ]


def _error_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "slice": row["slice"],
        "expressions": row["expressions"],
        "rec": number(row["rec"], 5),
        "causes": [row.get(cause, 0) for cause in CAUSES],
    }
