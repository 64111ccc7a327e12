"""Make the groundings of one image from the choices and probabilities of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aligncat.datasets.lexicon import Lexicon
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.choices import object_probability
from aligncat.grounder.doubts import doubts
from aligncat.grounder.grounding import Answer, CandidateScore, Grounding
from aligncat.types import RLE, Candidates, Choices


def grounding_of(
    row: int,
    expression: str,
    candidates: Candidates,
    choices: Choices,
    labels: Sequence[str],
    unknown: tuple[str, ...],
    *,
    further: tuple[str, ...] = (),
) -> Grounding:
    """Return the grounding of one expression.

    Args:
        row: the place of the expression in the choices.
        expression: its text.
        candidates: the candidates of the image.
        choices: the choices for expressions on this image.
        labels: the names of the detector's categories, by class index.
        unknown: the words of the expression that the grounder does not know.
        further: further warnings.
    """
    choice = int(choices.choice[row])
    match = None if choices.match is None else float(choices.match[row])
    predicted = None if choices.predicted is None else choices.predicted[row]
    matched = bool(choices.category_matched[row])
    probabilities = choices.probabilities[row]
    return Grounding(
        expression=expression,
        box=_box(candidates, choice),
        mask=_mask(candidates, choice),
        probability=object_probability(probabilities, candidates.boxes, choice),
        category=labels[candidates.categories[choice]],
        predicted_category=predicted,
        category_matched=matched,
        word_weights=choices.word_weights[row],
        choice=choice,
        candidates=tuple(
            CandidateScore(
                box=_box(candidates, slot),
                category=labels[candidates.categories[slot]],
                confidence=float(candidates.confidences[slot]),
                kept=bool(choices.kept[row, slot]),
                probability=float(probabilities[slot]),
                scores={name: float(values[row, slot]) for name, values in choices.scores.items()},
            )
            for slot in range(len(candidates))
        ),
        unknown_words=unknown,
        match=match,
        warnings=doubts(
            match=match,
            category=predicted,
            found=matched,
            unknown=unknown,
            guessed=bool(unknown) and _lexicon(tuple(labels)).head_is_among(expression, unknown),
            further=further,
        ),
    )


@cache
def _lexicon(labels: tuple[str, ...]) -> Lexicon:
    return Lexicon.load(categories=labels)


def best_slots(grounding: Grounding, count: int, boxes: NDArray[np.float32]) -> list[int]:
    """Return the most probable candidates, best first: the choice, then others of the refined set, each object once.

    Two candidates are one object if the IoU of their boxes is above SAME_OBJECT_IOU.

    Args:
        grounding: the grounding of an expression.
        count: the most candidates to return, at least 1.
        boxes: (O, 4) xyxy in any unit.
    """
    shares = np.array([candidate.probability for candidate in grounding.candidates])
    chosen = [grounding.choice]
    for slot in np.argsort(-shares, kind="stable").tolist():
        if len(chosen) == count or shares[slot] <= 0:
            break
        if box_iou(boxes[slot][None], boxes[chosen]).max() <= SAME_OBJECT_IOU and slot not in chosen:
            chosen.append(slot)
    return chosen


def with_answers(
    grounding: Grounding, slots: Sequence[int], candidates: Candidates, probabilities: NDArray[np.float32] | None
) -> Grounding:
    """Return a grounding with all its answers, whose other attributes describe the first of them.

    Args:
        grounding: the grounding of the expression.
        slots: the candidates that are the answers, best first.
        candidates: the candidates of the image.
        probabilities: (O,), the probability that each candidate is what the expression says, if the image has it; None
            if the grounder is not calibrated.
    """
    shares = np.array([candidate.probability for candidate in grounding.candidates], np.float32)
    return grounding.with_answers(
        tuple(
            Answer(
                box=grounding.candidates[slot].box,
                mask=_mask(candidates, slot),
                match=None if probabilities is None else float(probabilities[slot]),
                probability=object_probability(shares, candidates.boxes, slot),
                category=grounding.candidates[slot].category,
                choice=slot,
            )
            for slot in slots
        )
    )


def _box(candidates: Candidates, slot: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = np.asarray(candidates.boxes[slot], float).tolist()
    return x1, y1, x2, y2


def _mask(candidates: Candidates, slot: int) -> RLE | None:
    return None if candidates.masks is None else candidates.masks[slot]
