"""The tables of the page, as plain values."""

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
    """Return a line for every config and split: what must be said beside a metric, and the metrics in percent.

    Raises:
        DataError: the results of one config's seeds do not fit each other.
    """
    return [
        {
            "words": list(words.items()),
            "expressions": expressions,
            "figures": [[name, *_percent(spread)] for name, spread in figures.items()],
        }
        for words, expressions, figures in result_lines(of)
    ]


def published(of: Sequence[Result]) -> list[dict[str, Any]]:
    """What others published of the same splits, a line for every system and split, in percent.

    Args:
        of: a result of each split.

    Returns:
        "dataset", "split", "split_by", "system", "source", "rec" and "res" (None where there is none).
    """
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    for result in of:
        for found in published_values(result.dataset, result.split, result.split_by):
            column, row, paper = found.column, found.row, found.table.source
            said = {"dataset": column.dataset, "split": column.split, "split_by": column.split_by, "system": row.name}
            said["source"] = f"{row.venue}, as in {paper}" if row.venue else paper
            line = lines.setdefault(tuple(said.values()), {**said, "rec": None, "res": None})
            line[found.table.task] = found.value
    return list(lines.values())


def _percent(spread: Spread | None) -> tuple[float | None, float | None]:
    if spread is None:
        return None, None
    return number(100 * spread.mean), None if spread.deviation is None else number(100 * spread.deviation)


def errors(answers: Answers) -> list[dict[str, Any]]:
    """Right answers and causes of wrong ones, by whatever the expressions are sliced by.

    Returns:
        "by" and "rows" for each slicing; a row has "slice", "expressions", "rec" (a fraction) and "causes", the counts
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
