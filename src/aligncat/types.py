"""Data types shared between packages, with shapes and units.

Boxes are float xyxy pixels of the original image. Masks are COCO RLE at the original image's size.
Packages exchange coordinates in these two forms only.

Symbols are the paper's. The detector turns an image into N queries, each with a feature f_q of length d_v, and the O
queries with the highest confidence are the candidates. L is the number of words and C the number of categories. c* is
the category that the data gives the referent (the object that the expression refers to), c^T the category that the
text classifier reads in the expression, and c^V the category that the detector gives a candidate. q* is the chosen
candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
"""A value that a JSON file can hold."""


class RLE(TypedDict):
    """A mask in COCO's compressed run-length encoding (pycocotools.mask).

    Attributes:
        size: (height, width) in pixels.
        counts: the compressed run lengths.
    """

    size: list[int]
    counts: bytes


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image of a dataset.

    Attributes:
        id: unique in its dataset; the store finds the image's candidates by it.
        path: the image file.
    """

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Expression:
    """One expression, which refers to one object in one image: its referent.

    It contains everything that training may know about the referent.

    Attributes:
        id: unique in its dataset.
        referent_id: shared by all expressions for the same referent; the key of the referent's Truth.
        image_id: the image that shows the referent.
        text: the expression as its author wrote it.
        category: c*, the name of the referent's category: the dataset's label, or else what a lexicon derived from the
            text. None if there is neither.
        needed: the kinds of attribute that are needed to tell the referent from other objects, if recorded.
        redundant: the kinds of attribute that are mentioned but not needed, if recorded.
        kind: the slice under which results are reported: "category", or the needed kinds joined by "+". If the dataset
            does not record it, it is None, and evaluation may set it to "category" or "attribute" (`Overlaps`).
        derived: whether the category is one that a lexicon derived.
        no_target: whether the data says that the image shows nothing that the text means. Training leaves such an
            expression out, because it and its image are no pair.
    """

    id: str
    referent_id: str
    image_id: str
    text: str
    category: str | None = None
    needed: tuple[str, ...] = ()
    redundant: tuple[str, ...] = ()
    kind: str | None = None
    derived: bool = False
    no_target: bool = False


@dataclass(frozen=True, slots=True)
class Truth:
    """The boxes and masks of the objects that an expression means, for evaluation only.

    Training must never hold a Truth. Most datasets have one object for each expression: the referent. gRefCOCO calls
    the objects targets, and an expression may have none or several.

    Attributes:
        boxes: (n, 4) float64, xyxy pixels; n is 0 if the image shows nothing that the expression means.
        masks: n RLEs at the image's size; None if one of the n masks is unknown.
        category: the name of the objects' category; None if it is unknown, or if they have several.
        size: (width, height) in pixels of the image in which the boxes were drawn: as the annotations declare it, or
            else as its photo has it. None if it is unknown.
    """

    boxes: NDArray[np.float64]
    masks: tuple[RLE, ...] | None
    category: str | None = None
    size: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def of_one(
        cls,
        box: NDArray[np.float64],
        mask: RLE | None = None,
        category: str | None = None,
        size: tuple[int, int] | None = None,
    ) -> Truth:
        """Return the truth of an expression that means one object.

        Args:
            box: (4,) xyxy pixels.
            mask: its mask, or None.
            category: see the class.
            size: see the class.
        """
        return cls(box[None], None if mask is None else (mask,), category, size)

    @property
    def box(self) -> NDArray[np.float64]:
        """(4,) the box of the only object.

        Raises:
            ValueError: there is no object, or several.
        """
        self._check_one()
        return self.boxes.reshape(4)

    @property
    def mask(self) -> RLE | None:
        """The mask of the only object, or None if it is unknown.

        Raises:
            ValueError: there is no object, or several.
        """
        self._check_one()
        return None if self.masks is None else self.masks[0]

    def _check_one(self) -> None:
        if len(self) != 1:
            raise ValueError(f"the expression means {len(self)} objects, not one; read `boxes` and `masks`")


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """A further feature of every query, which a detector gives and a store keeps beside f_q.

    Attributes:
        name: its name: lower-case letters, digits and underscores.
        version: the version of the rule that computes it, from 1. Another rule is another version.
        dim: its length.
    """

    name: str
    version: int
    dim: int

    def __str__(self) -> str:
        return f"{self.name} (version {self.version}, length {self.dim})"


@dataclass(frozen=True, slots=True)
class Candidates:
    """The candidates of one image: the O detector queries with the highest confidence, best first.

    As in QueryMatch, a query may be two candidates, with two categories.

    Attributes:
        image_id: the image.
        width: the image's width, pixels.
        height: the image's height, pixels.
        features: (O, d_v) float16, f_q: what the detector's class head reads, after the decoder's last norm.
        queries: (O,) int32, the index of the query among the detector's N.
        categories: (O,) int32, c^V, as an index into the detector's labels.
        confidences: (O,) float32, by the rule of the detector (`DetectorDescription.confidence`).
        boxes: (O, 4) float32, xyxy pixels.
        masks: O masks, RLE at (height, width); None if the detector gives boxes alone.
        columns: the further features that the detector gives, by the name of their `FeatureColumn`: (O, dim) float16.
    """

    image_id: str
    width: int
    height: int
    features: NDArray[np.float16]
    queries: NDArray[np.int32]
    categories: NDArray[np.int32]
    confidences: NDArray[np.float32]
    boxes: NDArray[np.float32]
    masks: tuple[RLE, ...] | None
    columns: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.confidences)

    @property
    def relative_boxes(self) -> NDArray[np.float32]:
        """The boxes in shares of the image's width and height, (O, 4) float32."""
        size: NDArray[np.float32] = np.array([self.width, self.height] * 2, np.float32)
        return np.divide(self.boxes, size, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """The choices of a grounder for E expressions, each with O candidates.

    Attributes:
        choice: (E,) int64, the index of q*; meaningless if the image has no candidates.
        kept: (E, O) bool, the refined set.
        probabilities: (E, O) float32, softmax of the last stage's scores over the refined set, 0 outside it.
        scores: (E, O) float32 for each score that the config uses, by name: "class", "global", "coarse", "fine".
        predicted: the names of the E predicted categories c^T; None without a text classifier. The training-free
            grounder reads them with a lexicon: None for an expression in which that finds none.
        category_matched: (E,) bool, False if no candidate has the category c^T, and True otherwise.
        word_weights: for each expression its (word, weight) pairs in order; empty without phrase attention.
        match: (E,) float32, the probability that the image has what the expression says; None if not calibrated.
        several: (E, O) bool, the candidates that are the answer, each object once; None if not calibrated. Where an
            expression means one object, this is the choice alone.
    """

    choice: NDArray[np.int64]
    kept: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    scores: Mapping[str, NDArray[np.float32]]
    predicted: tuple[str | None, ...] | None
    category_matched: NDArray[np.bool_]
    word_weights: Sequence[tuple[tuple[str, float], ...]]
    match: NDArray[np.float32] | None = None
    several: NDArray[np.bool_] | None = None
