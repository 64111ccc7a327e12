"""The categories of expressions without one, from their phrases."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from aligncat.datasets.categories import canonical_category
from aligncat.datasets.lexicon import Lexicon
from aligncat.datasets.split import Split
from aligncat.datasets.tables import ExpressionTable


def with_derived_categories(split: Split, lexicon: Path | None, categories: Iterable[str]) -> Split:
    """Return the split with a category for every referent that has none in the data and one in its phrases.

    The categories of the split's other referents are words for themselves.

    Expressions that mean nothing in their image stay without one.

    Args:
        split: the split.
        lexicon: a TOML file of further words; see `Lexicon.load`.
        categories: further names that the phrases may mean, such as a detector's labels.

    Raises:
        DataError: the file is missing or does not have the form of a lexicon.
    """
    if isinstance(split.expressions, ExpressionTable):
        return _with_derived_in_table(split, split.expressions, lexicon, categories)
    texts: dict[str, list[str]] = {}
    for each in split.expressions:
        if each.category is None and not each.no_target:
            texts.setdefault(each.referent_id, []).append(each.text)
    if not texts:
        return split
    given = (each.category for each in split.expressions if each.category is not None)
    names = {canonical_category(name): name for name in (*categories, *given)}
    words = Lexicon.load(lexicon, names.values())
    found = {referent_id: words.category_of_all(phrases) for referent_id, phrases in texts.items()}
    expressions = tuple(
        replace(each, category=found[each.referent_id], derived=found[each.referent_id] is not None)
        if each.referent_id in found
        else each
        for each in split.expressions
    )
    return replace(split, expressions=expressions)


def _with_derived_in_table(
    split: Split, expressions: ExpressionTable, lexicon: Path | None, categories: Iterable[str]
) -> Split:
    if not ((expressions.categories < 0) & ~expressions.no_target).any():
        return split
    names = {canonical_category(name): name for name in (*categories, *expressions.given_names())}
    words = Lexicon.load(lexicon, names.values())
    return replace(split, expressions=expressions.with_derived(words.category_of_all))
