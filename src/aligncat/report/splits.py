"""Answers of several runs on one split, aligned by expression."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from aligncat.errors import DataError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.questions import BLOCK
from aligncat.evaluation.results import Result
from aligncat.report.runs import RunKey, run_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from aligncat.files.table_file import TableRows

_SAME = ("image_id", "text", "truth_box")  # must agree in all runs that answer an expression
OF_EXPRESSION = (
    *("expression_id", "referent_id", "image_path", "width", "height", "text", "kind", "needed", "redundant"),
    *("referent_category", "same_category", "size", "length", "truth_box", "truth_mask"),
)


@dataclass(frozen=True, slots=True, eq=False)
class RunOnSplit:
    """The answers of one run, aligned with the split's expressions.

    Attributes:
        answers: the answers, as read from their file.
        rows: E rows with the columns of `Answers.rows`; a row is null if the run does not answer the expression.
    """

    answers: Answers
    rows: TableRows


@dataclass(frozen=True, slots=True, eq=False)
class SplitRows:
    """The expressions of one split with the answers of every run on it.

    Attributes:
        expressions: E rows with the columns OF_EXPRESSION and others, one per expression.
        runs: the aligned answers of each run; at least one.
    """

    expressions: TableRows
    runs: Mapping[RunKey, RunOnSplit]

    @property
    def first(self) -> Result:
        """Return the first run's result, which has the dataset, split and split-by of all."""
        return next(iter(self.runs.values())).answers.result

    @property
    def name(self) -> str:
        """Return the split's name on the page, such as "refcocog val (umd)"."""
        first = self.first
        return f"{first.dataset} {first.split}" + (f" ({first.split_by})" if first.split_by else "")


def by_split(runs: Mapping[Path, Answers]) -> list[SplitRows]:
    """Group answers by dataset, division and split, in order of first mention, and align each group.

    Raises:
        DataError: two runs call different data by the same name, or a file answers an expression twice.
    """
    groups: dict[tuple[str | None, ...], dict[Path, Answers]] = defaultdict(dict)
    for path, answers in runs.items():
        result = answers.result
        groups[result.dataset, result.split_by, result.split][path] = answers
    return [_align_runs(group) for group in groups.values()]


def _align_runs(runs: Mapping[Path, Answers]) -> SplitRows:
    """Align runs by expression. Runs with the same expressions in the same order, as usual, stay where they are."""
    ids = {path: _ids_of(path, answers) for path, answers in runs.items()}
    first, *others = runs
    if all(ids[path].equals(ids[first]) for path in others):
        expressions, aligned = runs[first].rows, {path: answers.rows for path, answers in runs.items()}
    else:
        expressions, aligned = _joined(runs, {path: found.to_pylist() for path, found in ids.items()})
    for path in runs:
        _refuse_other_data(path, aligned[path], expressions, first)
    return SplitRows(
        expressions, {run_key(answers.result): RunOnSplit(answers, aligned[path]) for path, answers in runs.items()}
    )


def _ids_of(path: Path, answers: Answers) -> pa.StringArray:
    ids = answers.rows.select(["expression_id"])["expression_id"].combine_chunks()
    if len(ids.unique()) < len(ids):
        raise DataError(f"{path} answers an expression twice; evaluate again")
    return ids


def _joined(runs: Mapping[Path, Answers], ids: Mapping[Path, list[str]]) -> tuple[pa.Table, dict[Path, pa.Table]]:
    """Return the expressions that any run answers, and the rows of each run for them."""
    places: dict[str, int] = {}
    parts: list[pa.Table] = []
    for path, answers in runs.items():
        new = [row for row, expression in enumerate(ids[path]) if expression not in places]
        places |= {ids[path][row]: len(places) + count for count, row in enumerate(new)}
        parts.append(answers.rows.select([*OF_EXPRESSION, "image_id"]).take(pa.array(new, pa.int64())))
    aligned = {path: _align_rows(list(places), ids[path], answers.table) for path, answers in runs.items()}
    return pa.concat_tables(parts), aligned


def _align_rows(wanted: list[str], ids: list[str], table: pa.Table) -> pa.Table:
    row_of = {expression: row for row, expression in enumerate(ids)}
    return table.take(pa.array([row_of.get(expression) for expression in wanted], pa.int64()))


def _refuse_other_data(path: Path, rows: TableRows, expressions: TableRows, first: Path) -> None:
    """Check that a run's expressions have the same text, image and referent as other runs' of the same id."""
    if rows is expressions:
        return
    columns = ["expression_id", *_SAME]
    for ours, theirs in zip(_blocks(expressions, columns), _blocks(rows, columns), strict=True):
        for mine, other in zip(ours.to_pylist(), theirs.to_pylist(), strict=True):
            expression = other["expression_id"]
            if expression is not None and mine != other:
                [what, *_] = (name.replace("_", " ") for name in _SAME if mine[name] != other[name])
                raise DataError(
                    f"{path}: the {what} of expression {expression!r} is not the one in {first}, so the two answer "
                    "different data of the same name; report them separately, or evaluate one again"
                )


def _blocks(rows: TableRows, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield BLOCK rows at a time, whatever the blocks of a file are."""
    table = rows.select(columns)
    return (table.slice(start, BLOCK) for start in range(0, len(table), BLOCK))
