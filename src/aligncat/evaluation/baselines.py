"""Measure the baselines that need no training, on the expressions and candidates of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aligncat.datasets.categories import canonical_category
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.outcomes import Measured
from aligncat.grounder.training_free import TrainingFreeGrounder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aligncat.datasets.split import Split
    from aligncat.evaluation.questions import Questions
    from aligncat.store.reader import Store


def measure_floors(questions: Questions) -> Floors:
    """Measure the baselines on a split."""
    store = questions.store
    grounder = TrainingFreeGrounder.of_store(store)
    firsts, ruled = [], []
    for block in questions.blocks():
        first = most_confident(block.split, store, block.overlaps.referent_categories)
        choices = grounder.choose(store, block.split)
        firsts.append(Measured.of(block.overlaps, first, attributes=False))
        ruled.append(Measured.of(block.overlaps, choices.choice, choices.predicted, attributes=False))
    return Floors(
        most_confident=Measured.joined(firsts).metrics(),
        training_free=Measured.joined(ruled).metrics(),
        coloured=grounder.coloured,
    )


def most_confident(split: Split, store: Store, categories: Sequence[str | None]) -> NDArray[np.int64]:
    """Return the index of the most confident candidate of a category for each expression.

    Args:
        split: E expressions.
        store: the candidates of their images.
        categories: the E categories; None for that of the expression.
    """
    images = list(split.images)
    place = {image_id: number for number, image_id in enumerate(images)}
    found = store.categories(images)
    class_of = {canonical_category(label): number for number, label in enumerate(store.labels)}
    names = [name or each.category for name, each in zip(categories, split.expressions, strict=True)]
    wanted = np.array([-2 if name is None else class_of.get(canonical_category(name), -2) for name in names])
    rows = np.array([place[each.image_id] for each in split.expressions])
    # Candidates come by confidence, so the first of a category is the most confident, and without one it is the first.
    choice: NDArray[np.int64] = (found[rows] == wanted[:, None]).argmax(axis=1)
    return choice
