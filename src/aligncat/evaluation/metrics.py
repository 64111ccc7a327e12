"""Metrics of a set of choices: REC, RES, the oracle, and shares of errors."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aligncat.evaluation.overlaps import Overlaps, same_category
from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from aligncat.evaluation.answer_sets import AnswerSets, SetMetrics

PRECISION_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class ErrorShares:
    """Wrong answers as shares of all expressions, by the object that was chosen; the three sum to 1 - REC.

    The shares depend only on the candidates and the chosen object. `evaluation.causes` gives the reason for an error in
    more detail; docs/experiments.md explains how the two relate.

    Attributes:
        out_of_reach: no candidate's box has an IoU above 0.5, or the image shows nothing that the expression means, so
            no choice could be right; equals 1 - oracle.
        other_category: a right choice existed, but an object of another category than the referent's was chosen.
        same_category: a right choice existed, but another object of the referent's category was chosen, or the
            referent itself with a poor box.
    """

    out_of_reach: float
    other_category: float
    same_category: float

    def to_json(self) -> dict[str, float]:
        """Return the shares under the keys of a stored result."""
        return {key: getattr(self, name) for key, name in STORED_ERRORS.items()}


STORED_ERRORS = {
    "not_among_candidates": "out_of_reach",
    "wrong_category": "other_category",
    "wrong_object": "same_category",
}
"""Fields of `ErrorShares` by their key in a stored result.

The keys are older than the causes. `wrong_category` and `wrong_object` are also causes, but with a narrower meaning.
"""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics of a set of expressions, as fractions of 1; None if undefined.

    Attributes:
        expressions: the number of expressions.
        rec: share whose chosen box has an IoU above 0.5 with the truth (the paper, section 5.1); exactly 0.5 is wrong.
        oracle_rec: share with at least one candidate whose box does; no choice can reach a higher REC.
        with_mask: the number of expressions whose truth has a mask; the mask metrics below count only these.
        res_miou: mean IoU of the chosen masks (the paper's RES).
        res_oiou: sum of the intersections over sum of the unions; large objects count for more.
        oracle_res_miou: res_miou if the mask with the best IoU were always chosen.
        precision: for each threshold "0.5" to "0.9", share whose chosen mask has a greater IoU.
        category_accuracy: among the expressions whose truth names a category, the share for which the text classifier
            predicts it.
        errors: shares of wrong answers; None if they depend on a category that the truth does not name.
        by_kind: the same metrics for each `Expression.kind`.
        by_attribute: for each attribute, the same metrics of the expressions that need it ("needed"), and of those that
            mention it without need ("redundant").
        sets: metrics of answers that name any number of objects; None if every expression has exactly one target. The
            metrics above are of the choice alone. It is wrong for an expression without a target, and right for one
            with several if it is one of them.
    """

    expressions: int
    rec: float
    oracle_rec: float
    with_mask: int
    res_miou: float | None
    res_oiou: float | None
    oracle_res_miou: float | None
    precision: Mapping[str, float] | None
    category_accuracy: float | None
    errors: ErrorShares | None
    by_kind: Mapping[str, Metrics] = field(default_factory=dict)
    by_attribute: Mapping[str, Mapping[str, Metrics]] = field(default_factory=dict)
    sets: SetMetrics | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values. The keys "by_kind", "by_attribute" and "sets" are left out if there is nothing."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith(("by_", "sets"))}
        own["precision"] = None if self.precision is None else dict(self.precision)
        own["errors"] = None if self.errors is None else self.errors.to_json()
        if self.sets is not None:
            own["sets"] = self.sets.to_json()
        if self.by_kind:
            own["by_kind"] = {kind: metrics.to_json() for kind, metrics in self.by_kind.items()}
        if self.by_attribute:
            own["by_attribute"] = {
                attribute: {role: metrics.to_json() for role, metrics in roles.items()}
                for attribute, roles in self.by_attribute.items()
            }
        return own

    def slices(self) -> dict[str, Metrics]:
        """Return every slice by one name, such as "kind color+place", "color needed" or "color redundant"."""
        named = {f"kind {kind}": metrics for kind, metrics in self.by_kind.items()}
        for attribute, roles in self.by_attribute.items():
            named |= {f"{attribute} {role}": metrics for role, metrics in roles.items()}
        return named


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """The outcome of each of E answers; metrics are means over these rows.

    Attributes:
        right: (E,) bool, the chosen box has an IoU above 0.5 with the truth.
        reachable: (E,) bool, at least one candidate's box has an IoU above 0.5 with the truth.
        mask_iou: (E,) float64, IoU of the chosen mask; NaN if the truth has no mask.
        best_mask_iou: (E,) float64, IoU of the best candidate's mask; NaN if the truth has no mask.
        intersection: (E,) float64, pixels shared by the chosen mask and the truth; NaN if the truth has no mask.
        union: (E,) float64, pixels of the chosen mask or the truth; NaN if the truth has no mask.
        has_category: (E,) bool, the truth names the referent's category.
        same_category: (E,) bool, the chosen object is of that category.
        category_read: (E,) bool, the text classifier predicted that category; None if there is no classifier.
    """

    right: NDArray[np.bool_]
    reachable: NDArray[np.bool_]
    mask_iou: NDArray[np.float64]
    best_mask_iou: NDArray[np.float64]
    intersection: NDArray[np.float64]
    union: NDArray[np.float64]
    has_category: NDArray[np.bool_]
    same_category: NDArray[np.bool_]
    category_read: NDArray[np.bool_] | None

    @classmethod
    def of(cls, overlaps: Overlaps, choice: ArrayLike, predicted: Sequence[str | None] | None = None) -> Outcomes:
        """Look up the outcome of each choice.

        Args:
            overlaps: the overlaps of the E expressions.
            choice: (E,) integers, the index of the chosen candidate. It is ignored for an image without candidates
                (-1 by convention): that answer is wrong, with IoU 0.
            predicted: E category names predicted by the text classifier; None for "no prediction".

        Raises:
            ValueError: the lengths differ, or a choice is not one of its image's candidates.
        """
        chosen = _checked(overlaps, choice)
        rows = np.arange(len(overlaps))
        # An empty mask against an empty truth is 0 / 0; it counts as IoU 0.
        mask_iou = overlaps.intersections / np.where(overlaps.unions == 0, 1, overlaps.unions)
        has_category = np.array([category is not None for category in overlaps.referent_categories])
        return cls(
            right=overlaps.box_iou[rows, chosen] > SAME_OBJECT_IOU,
            reachable=overlaps.box_iou.max(axis=1) > SAME_OBJECT_IOU,
            mask_iou=mask_iou[rows, chosen],
            best_mask_iou=mask_iou.max(axis=1),
            intersection=overlaps.intersections[rows, chosen],
            union=overlaps.unions[rows, chosen],
            has_category=has_category,
            same_category=overlaps.same_category[rows, chosen],
            category_read=None if predicted is None else _category_read(overlaps, predicted),
        )

    def metrics(self, rows: NDArray[np.bool_]) -> Metrics:
        """Return the metrics of some rows, without slices.

        Args:
            rows: (E,) bool, True for the rows to measure; at least one.
        """
        with_mask = rows & ~np.isnan(self.union)
        with_category = rows & self.has_category
        union = float(self.union[with_mask].sum())
        return Metrics(
            expressions=int(rows.sum()),
            rec=float(self.right[rows].mean()),
            oracle_rec=float(self.reachable[rows].mean()),
            with_mask=int(with_mask.sum()),
            res_miou=_mean(self.mask_iou[with_mask]),
            res_oiou=float(self.intersection[with_mask].sum()) / union if union else None,
            oracle_res_miou=_mean(self.best_mask_iou[with_mask]),
            precision=self._precision(with_mask),
            category_accuracy=None if self.category_read is None else _mean(self.category_read[with_category]),
            errors=self._errors(rows),
        )

    def _precision(self, with_mask: NDArray[np.bool_]) -> dict[str, float] | None:
        if not with_mask.any():
            return None
        ious = self.mask_iou[with_mask]
        return {str(threshold): float((ious > threshold).mean()) for threshold in PRECISION_THRESHOLDS}

    def _errors(self, rows: NDArray[np.bool_]) -> ErrorShares | None:
        missed = rows & ~self.right & self.reachable
        if not self.has_category[missed].all():
            return None
        count = rows.sum()
        return ErrorShares(
            out_of_reach=float((rows & ~self.reachable).sum() / count),
            other_category=float((missed & ~self.same_category).sum() / count),
            same_category=float((missed & self.same_category).sum() / count),
        )


def measure(
    overlaps: Overlaps,
    choice: ArrayLike,
    predicted: Sequence[str | None] | None = None,
    sets: AnswerSets | None = None,
) -> Metrics:
    """Return the metrics of a split's choices, overall and by slice.

    Args:
        overlaps: the overlaps of the E expressions.
        choice: (E,) integers, the index of the chosen candidate; -1 for an image without candidates, which counts as
            wrong.
        predicted: E category names predicted by the text classifier, for `category_accuracy`.
        sets: the objects that the same answers name, for `Metrics.sets`; None if every expression has one target.

    Raises:
        ValueError: the lengths differ, or a choice is not one of its image's candidates.
    """
    outcomes = Outcomes.of(overlaps, choice, predicted)

    def of(rows: NDArray[np.bool_]) -> Metrics:
        found = outcomes.metrics(rows)
        return found if sets is None else replace(found, sets=sets.metrics(rows))

    kinds = [expression.kind for expression in overlaps.expressions]
    recorded = sorted({kind for kind in kinds if kind is not None})
    return replace(
        of(np.ones(len(overlaps), dtype=bool)),
        by_kind={kind: of(np.array([k == kind for k in kinds])) for kind in recorded},
        by_attribute=_by_attribute(overlaps, of),
    )


def _by_attribute(overlaps: Overlaps, of: Callable[[NDArray[np.bool_]], Metrics]) -> dict[str, dict[str, Metrics]]:
    attributes = sorted({a for e in overlaps.expressions for a in (*e.needed, *e.redundant)})
    sliced: dict[str, dict[str, Metrics]] = {}
    for attribute in attributes:
        roles = {
            "needed": np.array([attribute in e.needed for e in overlaps.expressions]),
            "redundant": np.array([attribute in e.redundant for e in overlaps.expressions]),
        }
        sliced[attribute] = {role: of(rows) for role, rows in roles.items() if rows.any()}
    return sliced


def _checked(overlaps: Overlaps, choice: ArrayLike) -> NDArray[np.int64]:
    """Return (E,) column indices, -1 where the image has no candidate."""
    chosen = np.asarray(choice, dtype=np.int64)
    if chosen.shape != (len(overlaps),):
        raise ValueError(f"{len(overlaps)} expressions need choices of shape ({len(overlaps)},), not {chosen.shape}")
    chosen = np.where(overlaps.valid.any(axis=1), chosen, -1)
    counts = overlaps.valid.sum(axis=1)
    wrong = np.flatnonzero((chosen >= counts) | ((chosen < 0) & (counts > 0)))
    if wrong.size:
        row = int(wrong[0])
        expression = overlaps.expressions[row]
        raise ValueError(
            f"expression {expression.id!r}: candidate {chosen[row]} was chosen, but image "
            f"{expression.image_id!r} has {counts[row]} candidates"
        )
    return chosen


def _category_read(overlaps: Overlaps, predicted: Sequence[str | None]) -> NDArray[np.bool_]:
    pairs = zip(overlaps.referent_categories, predicted, strict=True)
    return np.array([same_category(name, category) for category, name in pairs])


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if values.size else None
