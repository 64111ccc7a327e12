"""Answers of several runs on one split, aligned by expression."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from aligncat.errors import DataError
from aligncat.evaluation.answers import Answers
from aligncat.evaluation.results import Result
from aligncat.report.runs import RunKey, run_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
        table: E rows with the columns of `Answers.table`; a row is null if the run does not answer the expression.
    """

    answers: Answers
    table: pa.Table


@dataclass(frozen=True, slots=True, eq=False)
class SplitRows:
    """The expressions of one split with the answers of every run on it.

    Attributes:
        expressions: E rows with the columns OF_EXPRESSION, one per expression.
        runs: the aligned answers of each run; at least one.
    """

    expressions: pa.Table
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
    places: dict[str, int] = {}
    parts: list[pa.Table] = []
    for path, answers in runs.items():
        ids = answers.table["expression_id"].to_pylist()
        if len(set(ids)) < len(ids):
            raise DataError(f"{path} answers an expression twice; evaluate again")
        new = [row for row, expression in enumerate(ids) if expression not in places]
        places |= {ids[row]: len(places) + count for count, row in enumerate(new)}
        parts.append(answers.table.select([*OF_EXPRESSION, "image_id"]).take(pa.array(new, pa.int64())))
    expressions = pa.concat_tables(parts)
    aligned = {path: _align_rows(list(places), answers.table) for path, answers in runs.items()}
    for path, table in aligned.items():
        _refuse_other_data(path, table, expressions, next(iter(runs)))
    return SplitRows(
        expressions.select(OF_EXPRESSION),
        {run_key(answers.result): RunOnSplit(answers, aligned[path]) for path, answers in runs.items()},
    )


def _align_rows(ids: list[str], table: pa.Table) -> pa.Table:
    if table["expression_id"].to_pylist() == ids:
        return table
    row_of = {expression: row for row, expression in enumerate(table["expression_id"].to_pylist())}
    return table.take(pa.array([row_of.get(expression) for expression in ids], pa.int64()))


def _refuse_other_data(path: Path, table: pa.Table, expressions: pa.Table, first: Path) -> None:
    """Check that a run's expressions have the same text, image and referent as other runs' of the same id."""
    ours, theirs = (of.select(_SAME).to_pylist() for of in (expressions, table))
    ids = table["expression_id"].to_pylist()
    for expression, mine, other in zip(ids, ours, theirs, strict=True):
        if expression is not None and mine != other:
            [what, *_] = (name.replace("_", " ") for name in _SAME if mine[name] != other[name])
            raise DataError(
                f"{path}: the {what} of expression {expression!r} is not the one in {first}, so the two answer "
                "different data of the same name; report them separately, or evaluate one again"
            )
