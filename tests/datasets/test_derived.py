"""Categories of expressions for which the data gives none."""

from __future__ import annotations

from pathlib import Path

from aligncat.datasets.derived import with_derived_categories
from aligncat.datasets.split import Split
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
