"""Evaluation of anything that chooses candidates for expressions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from aligncat.evaluation.metrics import Scores, score
from aligncat.types import Expression

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from aligncat.evaluation.overlaps import Overlaps

Choose: TypeAlias = "Callable[[Sequence[Expression]], tuple[ArrayLike, Sequence[str | None] | None]]"
"""E expressions -> (E,) the index of the candidate chosen for each, and E category names read, or None."""


def evaluate(choose: Choose, overlaps: Overlaps) -> Scores:
    """Let a scorer choose for every expression of a split, and score its choices.

    Args:
        choose: sees the expressions alone, never the truth.
        overlaps: the split's table.

    Raises:
        ValueError: the scorer returns too few choices, or one that is not a candidate.
    """
    choice, predicted = choose(overlaps.expressions)
    return score(overlaps, choice, predicted)
