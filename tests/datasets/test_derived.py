"""Categories of expressions for which the data gives none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aligncat.datasets.config import DataConfig
from aligncat.datasets.derived import with_derived_categories
from aligncat.datasets.formats.format import ReadOptions
from aligncat.datasets.formats.jsonl import read_jsonl_split
from aligncat.datasets.split import Split
from aligncat.datasets.tables import ExpressionTable, numbered
from aligncat.types import Expression


def _split(*rows: tuple[str, str, str | None]) -> Split:
    expressions = tuple(
        Expression(id=str(number), referent_id=referent, image_id="1", text=text, category=category)
        for number, (referent, text, category) in enumerate(rows)
    )
    return Split("own", "train", None, {}, expressions)


def _found(split: Split) -> list[tuple[str | None, bool]]:
    return [(each.category, each.derived) for each in split.expressions]


def test_the_majority_of_a_referents_phrases_decides() -> None:
    split = _split(("1", "left cat", None), ("1", "the dog", None), ("1", "a puppy", None), ("2", "the red one", None))
    assert _found(with_derived_categories(split, None, ())) == [("dog", True)] * 3 + [(None, False)]


def test_given_categories_stay_and_are_words_for_other_phrases() -> None:
    split = _split(("1", "left cat", "hard hat"), ("2", "the hard hats", None), ("3", "a pallet", None))
    assert _found(with_derived_categories(split, None, ())) == [("hard hat", False), ("hard hat", True), (None, False)]
    assert _found(with_derived_categories(split, None, ["pallet"]))[2] == ("pallet", True)


def test_the_datas_spelling_of_a_category_comes_before_the_detectors() -> None:
    split = _split(("1", "x", "Hard Hat"), ("2", "the hard hats", None))
    assert _found(with_derived_categories(split, None, ["hard_hat"]))[1] == ("Hard Hat", True)


def test_a_split_that_lacks_no_category_stays_as_it_is(tmp_path: Path) -> None:
    split = _split(("1", "left cat", "cat"))
    assert with_derived_categories(split, tmp_path / "missing.toml", ()) is split


def _table(folder: Path, rows: Sequence[dict[str, object]]) -> tuple[Split, ExpressionTable]:
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    split = read_jsonl_split(DataConfig(folder, "jsonl"), "train", ReadOptions(check_images=False))
    assert isinstance(split.expressions, ExpressionTable)
    return split, split.expressions


@pytest.mark.parametrize(
    ("given", "text", "expected"),
    [(("axe", "ax", "axe"), "the axes", "axe"), (("wug?", "wug", "wug?"), "red wug", "wug")],
)
def test_a_table_gives_the_categories_that_single_expressions_give(
    tmp_path: Path, given: Sequence[str], text: str, expected: str
) -> None:
    rows = [{"image": "a.jpg", "expression": "that one", "category": name} for name in given]
    split, expressions = _table(tmp_path, [*rows, {"image": "a.jpg", "expression": text}])
    found = _found(with_derived_categories(split, None, ()))
    assert found == _found(with_derived_categories(replace(split, expressions=tuple(expressions)), None, ()))
    assert found[-1] == (expected, True)


def test_a_part_of_a_table_numbers_its_images_by_first_mention(tmp_path: Path) -> None:
    photos = ["a.jpg", "b.jpg", "a.jpg", "c.jpg"]
    _, table = _table(tmp_path, [{"image": photo, "expression": f"cup {photo}"} for photo in photos])
    part = table.where(table.images != -1)
    assert part == tuple(table)
    part = table.where(np.array([False, True, True, True]))
    assert part == tuple(table)[1:]
    names, numbers = numbered(part, "image_id")
    assert (names, numbers.tolist()) == (["b.jpg", "a.jpg", "c.jpg"], [0, 1, 2])
