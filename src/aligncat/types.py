"""The words of design: what passes from one room to the next, with shapes and units.

Boxes are xyxy pixels of the original image, float. Masks are COCO RLE at the original image's size.
Coordinates cross a module border in no other form.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"
"""A value that a JSON file can hold."""


class RLE(TypedDict):
    """A mask in COCO's compressed run-length encoding (pycocotools.mask).

    Attributes:
        size: (height, width) in pixels.
        counts: the compressed runs.
    """

    size: list[int]
    counts: bytes


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image of a dataset.

    Attributes:
        id: unique in its dataset, and the key of the store.
        path: where the file is.
    """

    id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Expression:
    """One sentence that refers to one object in one image: everything that a learner may see of it.

    Attributes:
        id: unique in its dataset.
        referent_id: shared by the sentences that mean the same object; the key of its Truth.
        image_id: the image that it is said of.
        text: the sentence as its author wrote it.
        category: c*, the label that the dataset gives the referent, by name; None where there is none.
        needed: attribute kinds without which the expression would fit another object too, where recorded.
        redundant: attribute kinds that it mentions without need, where recorded.
        kind: the slice it is reported under, where recorded: "category" or the needed kinds joined by "+".
        derived: whether the category was read in the phrase with a lexicon, as the dataset gives none.
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


@dataclass(frozen=True, slots=True)
class Truth:
    """The referent's box and mask. Evaluation only: nothing that trains may hold one.

    Attributes:
        box: (4,) float64, xyxy pixels.
        mask: RLE at the image's size, or None where the dataset has boxes alone.
        category: the referent's category by name, or None.
    """

    box: NDArray[np.float64]
    mask: RLE | None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the frozen detector says of one image: the O queries kept by confidence, best first.

    A query may appear twice, under two categories (as in QueryMatch).

    Attributes:
        image_id: the image.
        width: pixels.
        height: pixels.
        features: (O, d_v) float16, f_q after the decoder's LayerNorm.
        queries: (O,) int32, the query's slot in the detector.
        categories: (O,) int32, c^V, the contiguous class index.
        confidences: (O,) float32, class probability × mean mask probability inside the mask.
        boxes: (O, 4) float32, xyxy pixels.
        masks: O masks, RLE at (height, width).
    """

    image_id: str
    width: int
    height: int
    features: NDArray[np.float16]
    queries: NDArray[np.int32]
    categories: NDArray[np.int32]
    confidences: NDArray[np.float32]
    boxes: NDArray[np.float32]
    masks: tuple[RLE, ...]

    def __len__(self) -> int:
        return len(self.confidences)


@dataclass(frozen=True, slots=True)
class Alignment:
    """Every score of one forward pass over B (image, expression) pairs with O candidates each.

    Loss, metrics, figures and the demo all read this. A score that the config leaves out is None. Candidates
    that do not exist (padding) have the score -inf and are never kept.

    Attributes:
        class_scores: (B, O) in {0, 1}, S_class (Eq. 5).
        global_scores: (B, O), S_global (Eq. 8).
        coarse_scores: (B, O), S_coarse (Eq. 9).
        fine_scores: (B, O), S_fine (Eq. 14).
        final_scores: (B, O), those of the last stage, by which it chose.
        kept: (B, O) bool, the refined set that the last stage chose from.
        choice: (B,) int64, the index of q* (Eq. 15).
        word_weights: (B, L), the weights of Eq. 11; zero at padding.
        category_logits: (B, C), the text classifier's.
        category: (B,) int64, the category that S_class compared with; -1 where there was none.
        category_matched: (B,) bool, whether any candidate had that category.
        global_queries: (B, O, d), the projected queries of Eq. 6.
        global_texts: (B, d), the projected text of Eq. 7.
        fine_queries: (B, O, d), the projected queries of Eq. 13.
        fine_texts: (B, d), the projected text of Eq. 12.
    """

    class_scores: Tensor | None
    global_scores: Tensor
    coarse_scores: Tensor
    fine_scores: Tensor | None
    final_scores: Tensor
    kept: Tensor
    choice: Tensor
    word_weights: Tensor | None
    category_logits: Tensor | None
    category: Tensor
    category_matched: Tensor
    global_queries: Tensor
    global_texts: Tensor
    fine_queries: Tensor | None
    fine_texts: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Choices:
    """What a grounder made of E expressions and the O candidates of each one's image.

    Attributes:
        choice: (E,) int64, the index of q*; of no meaning where an image has no candidate.
        kept: (E, O) bool, the refined set.
        probabilities: (E, O) float32, softmax of the last stage's scores over the refined set, 0 elsewhere.
        scores: by name ("class", "global", "coarse", "fine"), (E, O) float32, those that the config has.
        predicted: E names, c^T; None where there is no text classifier.
        category_matched: (E,) bool, False where the category filter found no candidate of c^T.
        word_weights: E times (word, weight) in order; empty where the config has no phrase attention.
    """

    choice: NDArray[np.int64]
    kept: NDArray[np.bool_]
    probabilities: NDArray[np.float32]
    scores: Mapping[str, NDArray[np.float32]]
    predicted: tuple[str, ...] | None
    category_matched: NDArray[np.bool_]
    word_weights: tuple[tuple[tuple[str, float], ...], ...]


@dataclass(frozen=True, slots=True)
class CandidateScore:
    """One candidate as the grounder saw it.

    Attributes:
        box: (x1, y1, x2, y2) pixels.
        category: c^V by name.
        confidence: the detector's.
        kept: whether it was in the refined set.
        probability: softmax of the last stage's scores over the refined set; 0 outside of it.
        scores: "class", "global", "coarse", "fine", those that the config has.
    """

    box: tuple[float, float, float, float]
    category: str
    confidence: float
    kept: bool
    probability: float
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Grounding:
    """The object that an expression means, in one image.

    Attributes:
        expression: the text asked for.
        box: (x1, y1, x2, y2) pixels of the original image.
        mask: RLE at the original size.
        probability: of the chosen object, in [0, 1], as the model estimates it; nothing was fitted to make it match
            how often answers are right. It is the sum of `CandidateScore.probability` over the candidates of that
            object: those whose boxes have an IoU above 0.5 with the chosen one's, because a detector proposes one
            object more than once.
        category: c^V of the chosen query, by name.
        predicted_category: c^T, what the text classifier read in the expression, or None.
        category_matched: False when no candidate had c^T, so that the choice fell back to the global score.
        word_weights: (word, weight) in order; empty where the config has no phrase attention.
        choice: index into candidates.
        candidates: every candidate with its scores.
    """

    expression: str
    box: tuple[float, float, float, float]
    mask: RLE
    probability: float
    category: str
    predicted_category: str | None
    category_matched: bool
    word_weights: tuple[tuple[str, float], ...]
    choice: int
    candidates: tuple[CandidateScore, ...]

    @property
    def score(self) -> float:
        """The former name of `probability`; the next version drops it."""
        warnings.warn("Grounding.score is now Grounding.probability", DeprecationWarning, stacklevel=2)
        return self.probability
