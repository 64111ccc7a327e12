"""Causes of wrong answers: the stage between detector and choice at which the referent was lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from aligncat.datasets.categories import canonical_category
from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from aligncat.evaluation.answer_sets import AnswerSets
    from aligncat.evaluation.overlaps import Overlaps
    from aligncat.types import Choices

Cause: TypeAlias = Literal[
    "not_refused",
    "refused",
    "wrong_set",
    "poor_mask",
    "no_query",
    "confidence_filter",
    "no_candidate",
    "category_misread",
    "class_misdetected",
    "refinement",
    "wrong_category",
    "wrong_object",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
"""The causes in the order in which they are tested; the first that applies counts.

The first three occur only in a split in which some expression means no object or several. `poor_mask` is tested on the
box. The name says mask because a candidate's box is that of its mask (the mask's largest connected part).
"""

RIGHT = "right"

MEANING: dict[Cause, str] = {
    "not_refused": "the photo shows nothing that the expression means, but an object was named",
    "refused": "the photo shows what the expression means, but nothing was named, because the match was too low",
    "wrong_set": "each object that the expression means is among the candidates, but one is missing or one is too many",
    "poor_mask": "the right object was chosen, but its box is too inaccurate (IoU of 0.5 or less)",
    "no_query": "the detector missed the referent: none of its queries matches it",
    "confidence_filter": "the detector found the referent, but the confidence filter dropped it",
    "no_candidate": "no candidate matches the referent; whether a query did is unknown",
    "category_misread": "the text classifier misread the category, so the category filter dropped the referent",
    "class_misdetected": "the detector gave the referent the wrong class, so the category filter dropped it",
    "refinement": "the first stage did not rank the referent among its K best candidates",
    "wrong_category": "the referent could be chosen, but an object of another category was chosen",
    "wrong_object": "the referent could be chosen, but another object of the same category was chosen",
}


def causes(
    overlaps: Overlaps,
    choices: Choices,
    labels: Sequence[str],
    candidate_categories: NDArray[np.int64],
    query_right: NDArray[np.bool_] | None = None,
    sets: AnswerSets | None = None,
) -> list[str]:
    """Return the cause of each wrong answer, and "right" for each right answer.

    If every expression has one target, an answer is its choice. Otherwise, it is what it names (`AnswerSets`): right if
    it names exactly the targets. If a single object has another cause, it is that of the choice.

    If the truth does not name the referent's category, the category c^V of a stand-in is used: the most confident
    candidate with a right box.

    Args:
        overlaps: the overlaps of the E expressions (made with `objects`, if the data lists them).
        choices: the choices for the same expressions.
        labels: the detector's category names, by class index.
        candidate_categories: (E, O + 1), c^V with the columns of `Overlaps`; -1 where there is no candidate.
        query_right: (E,) bool, whether one of the N queries has a right box; None if unknown.
        sets: the objects that the same answers name; None if every expression has one target.

    Returns:
        E names from CAUSES, or "right".
    """
    count = min(overlaps.box_iou.shape[1] - 1, choices.kept.shape[1])
    rows = np.arange(len(overlaps))
    chosen = np.where(overlaps.valid.any(axis=1), choices.choice, -1)
    passing = overlaps.box_iou[:, :count] > SAME_OBJECT_IOU
    kept = choices.kept[:, :count]
    names = np.array([*map(canonical_category, labels), ""])
    first = passing.argmax(axis=1) if count else np.full(len(rows), -1)  # no image has a candidate
    stand_ins = candidate_categories[rows, first]
    referent = np.array(
        [
            names[stand_in] if category is None else canonical_category(category)
            for category, stand_in in zip(overlaps.referent_categories, stand_ins, strict=True)
        ]
    )
    one = overlaps.targets == 1
    reached = np.where(one, passing.any(axis=1), overlaps.every_target)
    dropped = reached & _dropped_by_category(choices, passing)
    predicted = np.array(
        ["" if name is None else canonical_category(name) for name in choices.predicted or [None] * len(rows)]
    )
    of_category = np.where(
        [category is None for category in overlaps.referent_categories],
        names[np.where(chosen < 0, -1, candidate_categories[rows, chosen])] == referent,
        overlaps.same_category[rows, chosen],
    )
    never = np.zeros(len(rows), dtype=bool)
    chose_right = np.asarray(overlaps.box_iou[rows, chosen] > SAME_OBJECT_IOU)
    tests: dict[Cause, NDArray[np.bool_]] = {
        "not_refused": overlaps.targets == 0,
        "refused": never if sets is None else (sets.named == 0) & overlaps.valid.any(axis=1),
        "wrong_set": never if sets is None else np.where(one, chose_right, overlaps.every_target),
        "poor_mask": one & overlaps.of_referent[rows, chosen],
        "no_query": ~reached & (never if query_right is None else ~query_right),
        "confidence_filter": ~reached & (never if query_right is None else query_right),
        "no_candidate": ~reached,
        "category_misread": dropped & (predicted != referent),
        "class_misdetected": dropped,
        # A single stage chooses among all candidates, whatever K is.
        "refinement": ~np.asarray((passing & kept).any(axis=1)) if "fine" in choices.scores else never,
        "wrong_category": ~of_category,
        "wrong_object": np.ones(len(rows), dtype=bool),
    }
    right = chose_right if sets is None else sets.right
    found: list[str] = np.select([right, *tests.values()], [RIGHT, *tests], RIGHT).tolist()
    return found


def _dropped_by_category(choices: Choices, passing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (E,) bool: the category filter left candidates to choose from, but none of them has a right box."""
    if "class" not in choices.scores:
        return np.zeros(len(passing), dtype=bool)
    of_category = choices.scores["class"][:, : passing.shape[1]] == 1
    return np.asarray(choices.category_matched & ~(of_category & passing).any(axis=1))
