"""Subsets of a training split: which referents and sentences they contain."""

from __future__ import annotations

from pathlib import Path

import pytest

from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.studies.subsets import over_specified, share_of_referents
from aligncat.types import Expression, ImageRecord

REFERENTS = 40


@pytest.fixture
def split() -> Split:
    """A split of 40 referents in 20 images. All but the last four have one plain and two over-specified sentences."""
    expressions = []
    for number in range(REFERENTS):
        for sentence in range(3):
            more = ("color",) if sentence and number < REFERENTS - 4 else ()
            expressions.append(Expression(f"{number}-{sentence}", f"r{number}", f"i{number // 2}", "x", redundant=more))
    images = {f"i{n}": ImageRecord(f"i{n}", Path()) for n in range(REFERENTS // 2)}
    return Split("toy", "train", None, images, tuple(expressions))


def referents(split: Split) -> set[str]:
    return {e.referent_id for e in split.expressions}


def test_a_share_has_all_sentences_of_its_referents_and_only_their_images(split: Split) -> None:
    quarter = share_of_referents(split, 0.25, seed=0)
    assert len(referents(quarter)) == 10 and len(quarter.expressions) == 30
    assert set(quarter.images) == {e.image_id for e in quarter.expressions}
    assert referents(quarter) < referents(share_of_referents(split, 0.5, seed=0))
    assert referents(quarter) != referents(share_of_referents(split, 0.25, seed=1))
    assert share_of_referents(split, 1.0, seed=0).expressions == split.expressions


@pytest.mark.parametrize(("rate", "with_more"), [(0.0, 0), (0.25, 9), (1.0, 36)])
def test_the_rate_changes_the_sentences_but_not_the_referents(split: Split, rate: float, with_more: int) -> None:
    found = over_specified(split, rate, seed=3)
    assert referents(found) == {f"r{n}" for n in range(36)}
    groups = found.sentences_by_referent().values()
    assert sum(all(e.redundant for e in group) for group in groups) == with_more
    assert sum(not any(e.redundant for e in group) for group in groups) == 36 - with_more


def test_data_that_does_not_record_redundant_words_is_rejected(split: Split) -> None:
    bare = Split("toy", "train", None, split.images, split.expressions[-12:])
    with pytest.raises(DataError, match="only MojiRef records"):
        over_specified(bare, 0.5, seed=0)
