"""Convert an `Alignment` into `Choices`: arrays, words and names on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.language.tokens import Tokens
from aligncat.types import Alignment, Choices


def choices_of(alignment: Alignment, expressions: Sequence[str], vocabulary: Tokens, labels: Sequence[str]) -> Choices:
    """Convert an `Alignment` into `Choices`.

    Args:
        alignment: of E expressions, on any device.
        expressions: their E texts.
        vocabulary: tells which words the weights belong to.
        labels: the detector's category names, by contiguous index.
    """
    scores = {
        "class": alignment.class_scores,
        "global": alignment.global_scores,
        "coarse": alignment.coarse_scores,
        "fine": alignment.fine_scores,
    }
    logits, weights = alignment.category_logits, alignment.word_weights
    # An image without candidates has no probability to share out, and softmax gives NaN.
    shares = alignment.final_scores.masked_fill(~alignment.kept, float("-inf")).softmax(dim=1).nan_to_num(0.0)
    return Choices(
        choice=alignment.choice.cpu().numpy(),
        kept=alignment.kept.cpu().numpy(),
        probabilities=shares.cpu().numpy(),
        scores={name: values.cpu().numpy() for name, values in scores.items() if values is not None},
        predicted=None if logits is None else tuple(labels[index] for index in logits.argmax(dim=1).tolist()),
        category_matched=alignment.category_matched.cpu().numpy(),
        word_weights=tuple(
            () if weights is None else vocabulary.weigh(text, weights[row].tolist())
            for row, text in enumerate(expressions)
        ),
    )


def join_choices(parts: Sequence[Choices]) -> Choices:
    """Concatenate the choices of several batches, in their order."""
    predicted = [part.predicted for part in parts if part.predicted is not None]
    return Choices(
        choice=np.concatenate([part.choice for part in parts]),
        kept=np.concatenate([part.kept for part in parts]),
        probabilities=np.concatenate([part.probabilities for part in parts]),
        scores={name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
        predicted=tuple(name for names in predicted for name in names) if predicted else None,
        category_matched=np.concatenate([part.category_matched for part in parts]),
        word_weights=tuple(weights for part in parts for weights in part.word_weights),
    )


def object_probability(probabilities: NDArray[np.float32], boxes: NDArray[np.float32], choice: int) -> float:
    """Return the probability of the chosen object: the sum over the candidates of that object.

    A detector proposes one object more than once, so the probability of a single candidate is too low. A candidate is
    of the chosen object if the IoU of its box and the chosen one's exceeds SAME_OBJECT_IOU.

    Args:
        probabilities: (O,), those of `Choices`.
        boxes: (O, 4) xyxy pixels.
        choice: index of the chosen candidate.
    """
    same = box_iou(boxes[choice][None], boxes)[0] > SAME_OBJECT_IOU
    same[choice] = True  # also where its box is empty
    return float(probabilities[same].sum())
