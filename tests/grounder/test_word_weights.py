"""Packed word weights are the pairs that they were made of, in less memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligncat.grounder.word_weights import WordWeights

ROWS = ((("red", 0.25), ("dog", 0.75)), (), (("dog", 1.0),), (("a", 0.1), ("a", 0.9)))


@given(st.lists(st.lists(st.tuples(st.text(max_size=4), st.floats(allow_nan=False)).map(tuple)).map(tuple)))
def test_it_holds_the_pairs(rows: list[tuple[tuple[str, float], ...]]) -> None:
    found = WordWeights(rows)
    assert list(found) == rows and len(found) == len(rows) and found == rows
    assert found == WordWeights(iter(rows)) and [found[row] for row in range(len(rows))] == rows


def test_places_are_those_of_a_tuple() -> None:
    found = WordWeights(ROWS)
    assert found[-1] == ROWS[-1] and found[1:3] == ROWS[1:3] and found[::-2] == ROWS[::-2]
    assert found != ROWS[:3] and found != ROWS[1:] + ROWS[:1] and found != 4
    for place in (4, -5):
        with pytest.raises(IndexError):
            found[place]


def test_a_weight_takes_sixteen_bytes() -> None:
    rows = 20_000
    pairs = [(word, 0.25) for word in ("small", "red", "dog", "left")]
    tracemalloc.start()
    try:
        found = WordWeights(((word, weight + row) for word, weight in pairs) for row in range(rows))
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Per expression: four words of 4 bytes, four weights of 8, an end of 8; lists grow by an eighth or more at once.
    assert len(found) == rows and kept < 1.2 * rows * (4 * 12 + 8) and most < 2.5 * rows * (4 * 12 + 8)
