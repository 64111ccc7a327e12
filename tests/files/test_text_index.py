"""The index of texts finds what a dict finds."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncat.files.text_index import TextIndex

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=12)
texts_of_names = st.lists(st.text(max_size=3), max_size=12)  # with lone surrogates, as Python reads names of files


@settings(deadline=None)
@given(texts, texts_of_names)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_it_finds_what_a_dict_finds(kind: pa.DataType, there: list[str], asked: list[str]) -> None:
    index, expected = TextIndex(pa.array(there, kind)), {text: place for place, text in enumerate(there)}
    everything = [*asked, *there]
    assert len(index) == len(there)
    assert [index.find(text) for text in everything] == [expected.get(text, -1) for text in everything]
    assert index.find_all(everything).tolist() == [expected.get(text, -1) for text in everything]


def test_texts_of_one_hash_are_told_apart() -> None:
    """The index is given the hash of "a" for every text, as if all collided."""
    index = TextIndex(pa.array(["a", "b", "c"]))
    index.__dict__["_sorted"] = (np.full(3, hash("a"), np.int64), np.arange(3, dtype=np.int32))
    assert (index.find("a"), index.find_all(["a", "z"]).tolist()) == (0, [0, -1])


def test_it_can_be_sent_to_another_process() -> None:
    index = TextIndex(pa.array(["x", "y"]))
    assert index.find("y") == 1 and pickle.loads(pickle.dumps(index)).find("y") == 1
