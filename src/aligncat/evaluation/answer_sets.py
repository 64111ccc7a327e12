"""Answers that name any number of objects, compared with any number of targets: the metrics of gRefCOCO.

The metrics are those of GRES (Liu, Ding & Jiang, CVPR 2023) for masks and of GREC (He et al., arXiv 2308.16182) for
boxes. They apply to a split in which some expression means no object or several.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from aligncat.geometry import SAME_OBJECT_IOU, box_iou, mask_overlap, merge_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from aligncat.evaluation.questions import Questions
    from aligncat.types import Choices

MIN_MATCH = 0.5
"""The match below which an answer names nothing, unless the user gives another."""


@dataclass(frozen=True, slots=True)
class SetMetrics:
    """Metrics of answers that name any number of objects, as fractions of 1; None if undefined.

    Attributes:
        none: the number of expressions without a target.
        several: the number of expressions with several targets.
        min_match: the match below which an answer names nothing; None if the grounder gives no match, so that every
            answer names something.
        precision: GREC's Precision@(F1=1, IoU>=0.5): share of answers that name exactly the targets.
        n_acc: N-acc, share of the expressions without a target for which nothing is named.
        t_acc: T-acc, share of the expressions with a target for which something is named.
        giou: gIoU, mean IoU of all named objects' masks with all targets' masks; for an expression without a target, 1
            if nothing is named and 0 otherwise. Expressions with a target whose mask is unknown do not count.
        ciou: cIoU, sum of the intersections over sum of the unions, over the same expressions.
    """

    none: int
    several: int
    min_match: float | None
    precision: float
    n_acc: float | None
    t_acc: float | None
    giou: float | None
    ciou: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class AnswerSets:
    """The objects that E answers name, compared with the targets.

    Attributes:
        targets: (E,) int64, the number of targets.
        named: (E,) int64, the number of named objects.
        f1: (E,) float64, GREC's F1 score (`box_f1`).
        intersection: (E,) float64, pixels that the named and the targets' masks share; NaN if a mask is unknown.
        union: (E,) float64, pixels of either; NaN if a mask is unknown.
        min_match: the match below which an answer names nothing; None without a match.
    """

    targets: NDArray[np.int64]
    named: NDArray[np.int64]
    f1: NDArray[np.float64]
    intersection: NDArray[np.float64]
    union: NDArray[np.float64]
    min_match: float | None

    @classmethod
    def of(cls, questions: Questions, choices: Choices, min_match: float = MIN_MATCH) -> AnswerSets:
        """Compare what the answers name with the targets.

        Args:
            questions: the E expressions, their truth and their candidates.
            choices: the choices for the same expressions.
            min_match: an answer with a lower match names nothing.
        """
        overlaps = questions.overlaps
        images = list(questions.split.images)
        boxes = dict(zip(images, questions.store.boxes(images), strict=True))
        counts = overlaps.valid.sum(axis=1).tolist()
        rows = [
            _compare(questions, row, boxes[each.image_id], named_candidates(choices, row, counts[row], min_match))
            for row, each in enumerate(overlaps.expressions)
        ]
        named, f1, intersection, union = (np.array(column) for column in zip(*rows, strict=True))
        return cls(
            targets=overlaps.targets,
            named=named.astype(np.int64),
            f1=f1,
            intersection=intersection,
            union=union,
            min_match=None if choices.match is None else min_match,
        )

    @classmethod
    def joined(cls, parts: Sequence[AnswerSets]) -> AnswerSets:
        """Join the blocks of a split, in order; there is at least one."""
        names = [each.name for each in fields(cls) if each.name != "min_match"]
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return cls(**columns, min_match=parts[0].min_match)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(E,) bool, whether exactly the targets are named: F1 = 1."""
        return np.asarray(self.f1 == 1)

    def metrics(self, rows: NDArray[np.bool_]) -> SetMetrics:
        """Return the metrics of some rows.

        Args:
            rows: (E,) bool, True for the rows to measure; at least one.
        """
        empty, silent = self.targets == 0, self.named == 0
        known = rows & ~np.isnan(self.union)
        # Nothing named where there is nothing is 0 / 0, which GRES counts as IoU 1.
        iou = np.where(self.union == 0, empty & silent, self.intersection / np.where(self.union == 0, 1, self.union))
        union = float(self.union[known].sum())
        masks = bool((known & ~empty).any())
        return SetMetrics(
            none=int((rows & empty).sum()),
            several=int((rows & (self.targets > 1)).sum()),
            min_match=self.min_match,
            precision=float(self.right[rows].mean()),
            n_acc=_share(silent, rows & empty),
            t_acc=_share(~silent, rows & ~empty),
            giou=float(iou[known].mean()) if masks else None,
            ciou=float(self.intersection[known].sum()) / union if masks and union else None,
        )


def named_candidates(choices: Choices, row: int, count: int, min_match: float) -> list[int]:
    """Return the candidates that an answer names: none, the choice, or several.

    Args:
        choices: the choices of a grounder.
        row: the expression.
        count: the number of its image's candidates.
        min_match: an answer with a lower match names nothing. A grounder without a match always names something.
    """
    if not count or (choices.match is not None and float(choices.match[row]) < min_match):
        return []
    several = [] if choices.several is None else np.flatnonzero(choices.several[row, :count]).tolist()
    return several or [int(choices.choice[row])]


def box_f1(named: ArrayLike, targets: ArrayLike) -> float:
    """Return the F1 score of named boxes, as GREC defines it; 1 if nothing is named and there is no target.

    A named box and a target are a pair if their IoU is at least 0.5. The pair with the greatest IoU counts first, and
    each box belongs to one pair. (The authors' code compares generalised IoUs instead, which are never greater.)

    Args:
        named: (k, 4) xyxy pixels.
        targets: (n, 4) xyxy pixels.
    """
    iou = box_iou(named, targets)
    if not iou.size:
        return float(iou.shape == (0, 0))
    pairs = 0
    while iou.max() >= SAME_OBJECT_IOU:
        best, target = np.unravel_index(iou.argmax(), iou.shape)
        iou[best], iou[:, target] = 0, 0
        pairs += 1
    return 2 * pairs / sum(iou.shape)


def _compare(
    questions: Questions, row: int, boxes: NDArray[np.float32], named: list[int]
) -> tuple[int, float, float, float]:
    """Return the number of named candidates, their F1, and the intersection and union of the masks.

    Args:
        questions: the questions.
        row: the expression.
        boxes: (O, 4) xyxy pixels, its image's candidates and padding.
        named: the candidates that the answer names.
    """
    expression = questions.overlaps.expressions[row]
    truth = questions.truth[expression.referent_id]
    f1 = box_f1(boxes[named], truth.boxes)
    if len(truth) and (len(named) < 2 or not truth.masks):
        # The table of overlaps has the masks of one candidate, and of none in its last column.
        place = named[0] if named else -1
        overlaps = questions.overlaps
        return len(named), f1, float(overlaps.intersections[row, place]), float(overlaps.unions[row, place])
    if not named:
        return 0, f1, 0.0, 0.0
    masks = questions.store.candidates(expression.image_id).masks
    if masks is None:
        return len(named), f1, np.nan, np.nan
    whole = merge_masks([masks[each] for each in named])
    if not truth.masks:
        return len(named), f1, 0.0, float(mask_overlap(whole, whole)[1])
    intersection, union = mask_overlap(merge_masks(truth.masks), whole)
    return len(named), f1, float(intersection), float(union)


def _share(of: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(of[among].mean()) if among.any() else None
