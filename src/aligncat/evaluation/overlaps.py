"""Overlap of each referent with every candidate of its image, computed once so that each metric is a look-up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from aligncat.datasets.categories import canonical_category
from aligncat.errors import DataError
from aligncat.evaluation.measurable import size_fault
from aligncat.geometry import SAME_OBJECT_IOU, box_iou, mask_overlap, merge_masks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aligncat.datasets.split import Split
    from aligncat.store.reader import Store
    from aligncat.types import Candidates, Expression, Truth

AnnotatedObjects: TypeAlias = "Mapping[str, tuple[NDArray[np.float64], Sequence[str]]]"
"""By image id: the boxes, (n, 4) xyxy pixels, and the category names of all objects annotated in the image."""

OF_REFERENT = 0.25
"""A box shows the referent, well or poorly, if their IoU is above this and no other object overlaps the box more."""


@dataclass(frozen=True, slots=True, eq=False)
class Overlaps:
    """The candidates of E expressions compared with their referents.

    The columns are the O candidates in the order of `Store.candidates`, followed by one column of padding, so the index
    -1 means "nothing chosen". Images with fewer than O candidates are padded too. Padding has IoU and intersection 0,
    no category, and the referent's own area as union.

    An expression may mean any number of objects, its targets; the referent is the only one. Of several, a candidate is
    compared with the one that its box overlaps most, and its mask with the union of their masks. An expression without
    a target has IoU 0 with every candidate, and counts as one without a mask.

    Attributes:
        dataset: name of the dataset.
        split: name of the split.
        split_by: who divided the data; None if the dataset has only one division.
        expressions: the E expressions, in the order of the rows. If an expression's kind is not recorded, it is set
            from the annotated objects (the two kinds of section 1 of the paper): "attribute" if the image shows
            another object of the referent's category, "category" if not, None if unknown. It is "none" for an
            expression without a target, and "several" for one with several.
        targets: (E,) int64, the number of objects that the expression means.
        referent_categories: E category names of the truth; None where the dataset gives none.
        box_iou: (E, O + 1) float64.
        intersections: (E, O + 1) float64, pixels shared by mask and truth; NaN if the truth has no mask, or the
            detector gives boxes alone.
        unions: (E, O + 1) float64, pixels of mask or truth; NaN likewise.
        same_category: (E, O + 1) bool, the candidate's object is of the referent's category. Its category is that of
            the annotated object that its box overlaps most, if their IoU is above 0.5, and c^V otherwise.
        of_referent: (E, O + 1) bool, the candidate shows the referent, with a good or a poor box: its IoU with the
            truth is above 0.25, and it overlaps no other annotated object more.
        every_target: (E,) bool, each target has a candidate whose box has an IoU above 0.5 with it.
        same_category_objects: (E,) int64, the number of other annotated objects of the referent's category in the
            image; -1 if the annotated objects or the category are unknown, or if there is no target.
        valid: (E, O + 1) bool, the candidate exists.
    """

    dataset: str
    split: str
    split_by: str | None
    expressions: Sequence[Expression]
    targets: NDArray[np.int64]
    referent_categories: tuple[str | None, ...]
    box_iou: NDArray[np.float64]
    intersections: NDArray[np.float64]
    unions: NDArray[np.float64]
    same_category: NDArray[np.bool_]
    of_referent: NDArray[np.bool_]
    every_target: NDArray[np.bool_]
    same_category_objects: NDArray[np.int64]
    valid: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.expressions)

    @classmethod
    def of(
        cls,
        store: Store,
        split: Split,
        truth: Mapping[str, Truth],
        *,
        objects: AnnotatedObjects | None = None,
    ) -> Overlaps:
        """Compare a store's candidates with a split's truth.

        Each image is read once, and each referent is compared once.

        Args:
            store: a store with the candidates of every image of the expressions.
            split: the split with the expressions.
            truth: the truth by referent id (`load_truth`).
            objects: every annotated object of the images (`load_objects`), from which `same_category` and
                `of_referent` are computed. In an image without them, the detector's own category c^V counts.

        Raises:
            DataError: the split has no expression, a referent has no truth, or its annotations are of another size than
                the image that the detector saw.
            StoreError: the store lacks an image.
        """
        return cls.of_cells(split, truth, overlap_cells(store, split, truth, objects))

    @classmethod
    def of_cells(cls, split: Split, truth: Mapping[str, Truth], table: NDArray[np.void]) -> Overlaps:
        """Return the overlaps that `overlap_cells` has measured.

        Args:
            split: the split with the expressions.
            truth: the truth by referent id.
            table: (E, O + 1) cells.
        """
        alike = table["same_category_objects"][:, 0]
        targets = np.array([len(truth[e.referent_id]) for e in split.expressions], dtype=np.int64)
        return cls(
            dataset=split.dataset,
            split=split.split,
            split_by=split.split_by,
            expressions=tuple(
                e if e.kind is not None else replace(e, kind=_kind(meant, count))
                for e, meant, count in zip(split.expressions, targets.tolist(), alike.tolist(), strict=True)
            ),
            targets=targets,
            referent_categories=tuple(truth[e.referent_id].category for e in split.expressions),
            box_iou=table["box_iou"],
            intersections=table["intersection"],
            unions=table["union"],
            same_category=table["same_category"],
            of_referent=table["of_referent"],
            every_target=table["every_target"][:, 0],
            same_category_objects=alike,
            valid=table["valid"],
        )


def _kind(targets: int, others_alike: int) -> str | None:
    """Return the kind of an expression by the number of its targets and of other objects of their category."""
    if targets != 1:
        return "several" if targets else "none"
    if others_alike < 0:
        return None
    return "attribute" if others_alike else "category"


def same_category(name: str | None, other: str | None) -> bool:
    """Return whether two names, in any spelling, are the same category; None matches no name."""
    if name is None or other is None:
        return False
    return canonical_category(name) == canonical_category(other)


# One candidate compared with one referent. Pixel counts are float64, which is exact to 2^53 and has NaN for "no mask".
_CELL = np.dtype(
    [
        ("box_iou", np.float64),
        ("intersection", np.float64),
        ("union", np.float64),
        ("same_category", np.bool_),
        ("of_referent", np.bool_),
        ("every_target", np.bool_),
        ("same_category_objects", np.int64),
        ("valid", np.bool_),
    ]
)


def overlap_cells(
    store: Store,
    split: Split,
    truth: Mapping[str, Truth],
    objects: AnnotatedObjects | None = None,
) -> NDArray[np.void]:
    """Compare candidates with the truth; see `Overlaps.of`. Return (E, O + 1) cells, plain numbers for a file."""
    if not split.expressions:
        raise DataError(
            f"split {split.split!r} of {split.dataset} (split by {split.split_by}) has no expressions; check the "
            "split's name and `split_by`"
        )
    referents = _referents_by_image(split.expressions, truth)
    row_of: dict[tuple[str, str], int] = {}
    cells = np.empty((sum(map(len, referents.values())), store.manifest.candidates + 1), _CELL)
    widest = 1
    for image_id, here in referents.items():
        objects_here = (objects or {}).get(image_id)
        found = _referent_table(store.candidates(image_id), store.labels, here, objects_here)
        first, width = len(row_of), found.shape[1]
        cells[first : first + len(here), :width] = found
        cells[first : first + len(here), width:] = found[:, -1:]  # repeats the column of padding
        row_of |= {(image_id, referent): first + number for number, referent in enumerate(here)}
        widest = max(widest, width)
    rows = np.array([row_of[e.image_id, e.referent_id] for e in split.expressions], dtype=np.int64)
    table = cells[:, :widest]
    if not np.array_equal(rows, np.arange(len(cells))):  # mostly, a referent has several expressions
        table = table[rows]
    return table


def _referents_by_image(expressions: Sequence[Expression], truth: Mapping[str, Truth]) -> dict[str, dict[str, Truth]]:
    """Return the referents of each image with their truth, in order of first mention."""
    referents: dict[str, dict[str, Truth]] = defaultdict(dict)
    for expression in expressions:
        if expression.referent_id not in truth:
            raise DataError(
                f"referent {expression.referent_id!r} (expression {expression.id!r}, image "
                f"{expression.image_id!r}) has no truth; add its box to the annotations, or leave its "
                "expressions out of the split"
            )
        referents[expression.image_id][expression.referent_id] = truth[expression.referent_id]
    return referents


def _referent_table(
    candidates: Candidates,
    labels: Sequence[str],
    referents: Mapping[str, Truth],
    objects: tuple[NDArray[np.float64], Sequence[str]] | None,
) -> NDArray[np.void]:
    """Return the (R, O + 1) cells of one image; the last column is padding."""
    count = len(candidates)
    for referent_id, truth in referents.items():
        if fault := size_fault(truth, referent_id, candidates):
            raise DataError(fault)
    table = np.zeros((len(referents), count + 1), dtype=_CELL)
    claimed = [labels[category] for category in candidates.categories]
    seen_as = _categories_by_truth(candidates.boxes, claimed, objects)
    for row, truth in zip(table, referents.values(), strict=True):
        row["intersection"], row["union"] = _mask_cells(candidates, truth)
        row["valid"][:count] = True
        pairs = box_iou(truth.boxes, candidates.boxes)
        row["box_iou"][:count] = pairs.max(axis=0, initial=0)
        row["every_target"] = (pairs > SAME_OBJECT_IOU).any(axis=1).all()
        row["same_category"][:count] = [same_category(name, truth.category) for name in seen_as]
        row["of_referent"] = _of_referent(row["box_iou"], candidates.boxes, objects)
        row["same_category_objects"] = _others_alike(truth, objects)
    return table


def _mask_cells(candidates: Candidates, truth: Truth) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (O + 1,) intersections and unions with the targets' masks; the last are those of an empty mask.

    They are NaN if the targets or the candidates have no masks.
    """
    if not truth.masks or candidates.masks is None:
        return np.full(len(candidates) + 1, np.nan), np.full(len(candidates) + 1, np.nan)
    mask = merge_masks(truth.masks)
    pairs = [mask_overlap(mask, candidate) for candidate in candidates.masks]
    area = mask_overlap(mask, mask)[1]
    intersections, unions = zip(*pairs, (0, area), strict=True)
    return np.array(intersections, dtype=np.float64), np.array(unions, dtype=np.float64)


def _categories_by_truth(
    boxes: NDArray[np.float32],
    claimed: Sequence[str],
    objects: tuple[NDArray[np.float64], Sequence[str]] | None,
) -> list[str]:
    """Return the category of the object that each box overlaps most, or the claimed one if no IoU is above 0.5."""
    if objects is None or not len(objects[1]):
        return list(claimed)
    object_boxes, names = objects
    overlap = box_iou(boxes, object_boxes)
    best = overlap.argmax(axis=1)
    passes = overlap.max(axis=1) > SAME_OBJECT_IOU
    return [names[b] if ok else claim for b, ok, claim in zip(best, passes, claimed, strict=True)]


def _of_referent(
    iou: NDArray[np.float64],
    boxes: NDArray[np.float32],
    objects: tuple[NDArray[np.float64], Sequence[str]] | None,
) -> NDArray[np.bool_]:
    """Return (O + 1,) bool: the IoU with the referent is above OF_REFERENT, and with no other object greater."""
    most = np.zeros_like(iou)
    if objects is not None and len(objects[1]) and len(boxes):
        most[: len(boxes)] = box_iou(boxes, objects[0]).max(axis=1)
    # The referent is one of the annotated objects; its box there may differ from the truth's by rounding.
    return (iou > OF_REFERENT) & (iou >= most - 1e-6)


def _others_alike(truth: Truth, objects: tuple[NDArray[np.float64], Sequence[str]] | None) -> int:
    """Return how many annotated objects besides the targets are of their category; -1 if unknown."""
    if objects is None or truth.category is None or not len(truth):
        return -1
    return max(0, sum(same_category(name, truth.category) for name in objects[1]) - len(truth))
