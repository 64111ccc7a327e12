"""Counts of wrong answers by cause and slice, as plain rows for JSON, tables and the report."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from aligncat.evaluation.causes import CAUSES, RIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aligncat.evaluation.answers import Answers

ErrorTable: TypeAlias = "list[dict[str, Any]]"
"""Rows with "slice", "expressions", "rec" (the fraction right) and a count for each cause that occurs.

If some expression means no object or several, an answer is right if it names exactly the targets (F1 = 1).
"""

SIZES = ((0.01, "under 1% of the image"), (0.05, "1 to 5%"), (0.2, "5 to 20%"), (float("inf"), "20% and more"))
LENGTHS = ((2, "1 to 2 words"), (4, "3 to 4 words"), (7, "5 to 7 words"), (float("inf"), "8 words and more"))
MOST_ALIKE = 4
_WHOLE = "all"


def error_tables(answers: Answers) -> dict[str, ErrorTable]:
    """Count right answers, and wrong ones by cause, for several ways of slicing the expressions.

    Args:
        answers: the answers of one grounder on one split.

    Returns:
        One table for each way of slicing: "all", "kind", "category" (the referent's), "same_category" (the number of
        other objects of that category in the image), "size" (the referent's box) and "length" (words). Expressions
        whose value is unknown form the slice "not known". A table is left out if the value is unknown for every
        expression.
    """
    columns = ("cause", "kind", "referent_category", "same_category", "size", "length")
    # Each function returns a row's slice as (sort key, name), or None if the row's value is unknown.
    slicings: dict[str, Callable[[Mapping[str, Any]], tuple[Any, str] | None]] = {
        "all": lambda row: (0, _WHOLE),
        "kind": lambda row: _named(row["kind"]),
        "category": lambda row: _named(row["referent_category"]),
        "same_category": lambda row: _alike(row["same_category"]),
        "size": lambda row: next((bound, name) for bound, name in SIZES if row["size"] < bound),
        "length": lambda row: next((bound, name) for bound, name in LENGTHS if row["length"] <= bound),
    }
    counts: dict[str, _Counts] = {name: defaultdict(Counter) for name in slicings}
    for block in answers.blocks(columns):
        for row in block.to_pylist():
            for name, slice_of in slicings.items():
                counts[name][slice_of(row)][row["cause"]] += 1
    seen = {cause for found in counts["all"].values() for cause in found}
    tables = {name: _table(found, [cause for cause in CAUSES if cause in seen]) for name, found in counts.items()}
    return {name: table for name, table in tables.items() if any(row["slice"] != _NOT_KNOWN for row in table)}


_NOT_KNOWN = "not known"
_Counts: TypeAlias = "dict[tuple[Any, str] | None, Counter[str]]"
"""Right answers and wrong ones by cause, for each slice; None is the slice of unknown values."""


def _table(counts: _Counts, present: Sequence[str]) -> ErrorTable:
    unknown = counts.get(None, Counter())
    named = [(name, counts[order, name]) for order, name in sorted(key for key in counts if key is not None)]
    return [
        {
            "slice": name,
            "expressions": found.total(),
            "rec": found[RIGHT] / found.total(),
            **{cause: found[cause] for cause in present},
        }
        for name, found in [*named, *([(_NOT_KNOWN, unknown)] if unknown else [])]
    ]


def _named(value: str | None) -> tuple[str, str] | None:
    return None if value is None else (value, value)


def _alike(count: int | None) -> tuple[int, str] | None:
    if count is None:
        return None
    return min(count, MOST_ALIKE), f"{MOST_ALIKE} and more" if count >= MOST_ALIKE else str(count)
