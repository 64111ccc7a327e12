from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from aligncat.evaluation.answers import SCHEMA
from aligncat.evaluation.staircase import Staircase, staircase

NAMES = ("ious", "kept", "right", "query_right", "fine_scores")
BOX = [0.0, 0.0, 1.0, 1.0]


def table(*rows: tuple[list[float], list[bool], bool, bool | None], stages: int = 2) -> pa.Table:
    columns: list[dict[str, Any]] = [
        {**dict(zip(NAMES, (*row, [0.0] * len(row[0]) if stages == 2 else None), strict=True)), "truth_box": BOX}
        for row in rows
    ]
    return pa.Table.from_pylist(columns, schema=pa.schema([SCHEMA.field(name) for name in (*NAMES, "truth_box")]))


ROWS = (
    ([0.9, 0.1], [True, True], True, True),  # chosen
    ([0.9, 0.1], [True, True], False, True),  # kept, but another is chosen
    ([0.2, 0.8, 0.7], [True, False, False], False, True),  # two candidates pass, but neither is kept
    ([0.5], [True], False, True),  # not above 0.5
    ([], [], False, False),  # an image without candidates
)


def test_each_stage_matches_a_hand_calculation() -> None:
    assert staircase(table(*ROWS)) == Staircase(expressions=5, queries=0.8, candidates=0.6, kept=0.4, chosen=0.2)


def test_sliced_and_chunked_tables_are_counted_alike() -> None:
    whole = table(*ROWS)
    chunks = pa.concat_tables([whole.slice(0, 2), whole.slice(2)])

    assert staircase(chunks) == staircase(whole)
    assert staircase(whole.slice(2)) == Staircase(3, 2 / 3, 1 / 3, 0, 0)


def test_without_a_store_of_every_query_the_first_stage_is_unknown() -> None:
    assert staircase(table(([0.9], [True], True, None))) == Staircase(1, None, 1, 1, 1)


def test_a_single_stage_has_no_refined_set() -> None:
    assert staircase(table(*ROWS, stages=1)) == Staircase(5, queries=0.8, candidates=0.6, kept=None, chosen=0.2)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no answer"):
        staircase(table())
