"""Convert what a forward pass says into `Choices`, and join those of several passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.scored import Scored
from aligncat.grounder.word_weights import WordWeights
from aligncat.language.tokens import Tokens
from aligncat.types import Choices

_Value = TypeVar("_Value", np.float32, np.bool_)


def choices_of(scored: Scored, expressions: Sequence[str], vocabulary: Tokens, labels: Sequence[str]) -> Choices:
    """Return the choices for E expressions, with names and words instead of indices.

    Args:
        scored: what the forward pass says of the expressions.
        expressions: their E texts.
        vocabulary: assigns the weights to words.
        labels: the names of the detector's categories, by class index.
    """
    predicted, weights = scored.predicted, scored.word_weights
    return Choices(
        choice=scored.choice,
        kept=scored.kept,
        probabilities=scored.probabilities,
        scores=scored.scores,
        predicted=None if predicted is None else tuple(labels[index] for index in predicted.tolist()),
        category_matched=scored.category_matched,
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
