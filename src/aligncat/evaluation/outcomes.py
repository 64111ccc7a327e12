"""The outcome of each answer, from which metrics are means; some answers may be measured at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aligncat.evaluation.answer_sets import AnswerSets
from aligncat.evaluation.metrics import PRECISION_THRESHOLDS, ErrorShares, Metrics
from aligncat.evaluation.overlaps import Overlaps, same_category
from aligncat.geometry import SAME_OBJECT_IOU

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_Value = TypeVar("_Value")


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

    @classmethod
    def joined(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """Concatenate the outcomes of several blocks, in order."""
        joined: dict[str, Any] = {}
        for name in (each.name for each in fields(cls)):
            columns = [getattr(part, name) for part in parts]
            joined[name] = None if columns[0] is None else np.concatenate(columns)
        return cls(**joined)

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


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What metrics need to know of E answers: some numbers for each, in place of its overlaps.

    Attributes:
        outcomes: the outcomes of the choices.
        sets: the objects that the answers name; None if every expression of the split has one target.
        kinds: E kinds of expressions.
        needed: for each expression the attributes that it needs; empty if they are not measured.
        redundant: for each expression the attributes that it mentions without need; empty likewise.
    """

    outcomes: Outcomes
    sets: AnswerSets | None
    kinds: Sequence[str | None]
    needed: Sequence[tuple[str, ...]]
    redundant: Sequence[tuple[str, ...]]

    @classmethod
    def of(
        cls,
        overlaps: Overlaps,
        choice: ArrayLike,
        predicted: Sequence[str | None] | None = None,
        sets: AnswerSets | None = None,
        *,
        attributes: bool = True,
    ) -> Measured:
        """Measure a block of answers; see `measure`.

        Args:
            overlaps: as for `measure`, like the other arguments.
            choice: as for `measure`.
            predicted: as for `measure`.
            sets: as for `measure`.
            attributes: whether to slice the metrics by attribute.
        """
        sliced = overlaps.expressions if attributes else ()
        return cls(
            outcomes=Outcomes.of(overlaps, choice, predicted),
            sets=sets,
            kinds=_each_once(expression.kind for expression in overlaps.expressions),
            needed=_each_once(expression.needed for expression in sliced),
            redundant=_each_once(expression.redundant for expression in sliced),
        )

    @classmethod
    def joined(cls, parts: Sequence[Measured]) -> Measured:
        """Join the blocks of a split, in order."""
        sets = [part.sets for part in parts if part.sets is not None]
        return cls(
            outcomes=Outcomes.joined([part.outcomes for part in parts]),
            sets=AnswerSets.joined(sets) if sets else None,
            kinds=[each for part in parts for each in part.kinds],
            needed=[each for part in parts for each in part.needed],
            redundant=[each for part in parts for each in part.redundant],
        )

    def metrics(self) -> Metrics:
        """Return the metrics, overall and by slice."""
        recorded = sorted({kind for kind in self.kinds if kind is not None})
        return replace(
            self._metrics(np.ones(len(self.kinds), dtype=bool)),
            by_kind={kind: self._metrics(np.array([k == kind for k in self.kinds])) for kind in recorded},
            by_attribute=self._by_attribute(),
        )

    def _metrics(self, rows: NDArray[np.bool_]) -> Metrics:
        found = self.outcomes.metrics(rows)
        return found if self.sets is None else replace(found, sets=self.sets.metrics(rows))

    def _by_attribute(self) -> dict[str, dict[str, Metrics]]:
        sliced: dict[str, dict[str, Metrics]] = {}
        for attribute in sorted({each for names in {*self.needed, *self.redundant} for each in names}):
            roles = {
                "needed": np.array([attribute in names for names in self.needed]),
                "redundant": np.array([attribute in names for names in self.redundant]),
            }
            sliced[attribute] = {role: self._metrics(rows) for role, rows in roles.items() if rows.any()}
        return sliced


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
    return Measured.of(overlaps, choice, predicted, sets).metrics()


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


def _each_once(values: Iterable[_Value]) -> list[_Value]:
    """Return the values, of which equal ones are the same object, so that they take less memory."""
    kept: dict[_Value, _Value] = {}
    return [kept.setdefault(value, value) for value in values]


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if values.size else None
