"""Convert an `Alignment` into `Choices`, whose arrays are on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aligncat.alignment.result import Alignment
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.word_weights import WordWeights
from aligncat.language.tokens import Tokens
from aligncat.types import Choices

_Value = TypeVar("_Value", np.float32, np.bool_)


def choices_of(alignment: Alignment, expressions: Sequence[str], vocabulary: Tokens, labels: Sequence[str]) -> Choices:
    """Convert an `Alignment` into `Choices`.

    Args:
        alignment: the alignment of E expressions, on any device.
        expressions: the texts of the E expressions.
        vocabulary: assigns the weights to words.
        labels: the names of the detector's categories, by class index.
    """
    scores = {
        "class": alignment.class_scores,
        "global": alignment.global_scores,
        "coarse": alignment.coarse_scores,
        "fine": alignment.fine_scores,
    }
    logits, weights = alignment.category_logits, alignment.word_weights
    # For an image without candidates, softmax returns NaN.
    probabilities = alignment.final_scores.masked_fill(~alignment.kept, float("-inf")).softmax(dim=1).nan_to_num(0.0)
    return Choices(
        choice=alignment.choice.cpu().numpy(),
        kept=alignment.kept.cpu().numpy(),
        probabilities=probabilities.cpu().numpy(),
        scores={name: values.cpu().numpy() for name, values in scores.items() if values is not None},
        predicted=None if logits is None else tuple(labels[index] for index in logits.argmax(dim=1).tolist()),
        category_matched=alignment.category_matched.cpu().numpy(),
        word_weights=WordWeights(
            () if weights is None else vocabulary.weigh(text, weights[row].tolist())
            for row, text in enumerate(expressions)
        ),
    )


def join_choices(parts: Sequence[Choices]) -> Choices:
    """Concatenate the choices of several batches, in order."""
    predicted = [part.predicted for part in parts if part.predicted is not None]
    return Choices(
        choice=np.concatenate([part.choice for part in parts]),
        kept=np.concatenate([part.kept for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        scores={name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
        predicted=tuple(name for names in predicted for name in names) if predicted else None,
        category_matched=np.concatenate([part.category_matched for part in parts]),
        word_weights=WordWeights(weights for part in parts for weights in part.word_weights),
        match=_joined([part.match for part in parts if part.match is not None]),
        several=_joined([part.several for part in parts if part.several is not None]),
    )


def _joined(parts: list[NDArray[_Value]]) -> NDArray[_Value] | None:
    return np.concatenate(parts) if parts else None


def object_probability(probabilities: NDArray[np.float32], boxes: NDArray[np.float32], choice: int) -> float:
    """Return the probability of the chosen object, in [0, 1]: the sum of the probabilities of its candidates.

    A detector proposes one object more than once, so the probability of a single candidate is too low. A candidate
    belongs to the chosen object if its box has an IoU above SAME_OBJECT_IOU with the chosen box.

    Args:
        probabilities: (O,), one row of `Choices.probabilities`.
        boxes: (O, 4) xyxy pixels.
        choice: the index of the chosen candidate.
    """
    same = box_iou(boxes[choice][None], boxes)[0] > SAME_OBJECT_IOU
    same[choice] = True  # an empty box has IoU 0 with itself
    return min(1.0, float(probabilities[same].sum()))  # rounding can take the sum of all of them above 1
