"""Make the groundings of one image from the choices and probabilities of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from aligncat.datasets.lexicon import Lexicon
from aligncat.grounder.choices import object_probability
from aligncat.grounder.distinct import one_of_each
from aligncat.grounder.doubts import doubts
from aligncat.grounder.grounding import Answer, CandidateScore, Grounding
from aligncat.language.tokens import as_written
from aligncat.types import RLE, Candidates, Choices


def grounding_of(
    row: int,
    expression: str,
    candidates: Candidates,
    choices: Choices,
    labels: Sequence[str],
    unknown: tuple[str, ...],
    *,
    read: str | None = None,
    further: tuple[str, ...] = (),
) -> Grounding:
    """Return the grounding of one expression.

    Args:
        row: the place of the expression in the choices.
        expression: its text.
        candidates: the candidates of the image.
        choices: the choices for expressions on this image.
        labels: the names of the detector's categories, by class index.
        unknown: the words that the grounder read and does not know.
        read: what the grounder read, such as the singular of the expression; None for the expression itself.
        further: further warnings.
    """
    choice = int(choices.choice[row])
    boxes = _boxes(candidates)
    match = None if choices.match is None else float(choices.match[row])
    predicted = None if choices.predicted is None else choices.predicted[row]
    matched = bool(choices.category_matched[row])
    probabilities = choices.probabilities[row]
    return Grounding(
        expression=expression,
        box=boxes[choice],
        mask=_mask(candidates, choice),
        probability=object_probability(probabilities, candidates.boxes, choice),
        category=labels[candidates.categories[choice]],
        predicted_category=predicted,
        category_matched=matched,
        word_weights=choices.word_weights[row],
        choice=choice,
        candidates=_candidates(row, candidates, boxes, choices, labels),
        unknown_words=unknown,
        match=match,
        warnings=doubts(
            match=match,
            category=predicted,
            found=matched,
            unknown=as_written(expression, unknown),
            guessed=bool(unknown) and _lexicon(tuple(labels)).head_is_among(read or expression, unknown),
            further=further,
        ),
    )


@cache
def _lexicon(labels: tuple[str, ...]) -> Lexicon:
    return Lexicon.load(categories=labels)


def best_slots(grounding: Grounding, count: int, boxes: NDArray[np.float32]) -> list[int]:
    """Return the most probable candidates, best first: the choice, then others of the refined set, each object once.

    Args:
        grounding: the grounding of an expression.
        count: the most candidates to return, at least 1.
        boxes: (O, 4) xyxy in any unit.
    """
    shares = np.array([candidate.probability for candidate in grounding.candidates])
    best_first = np.argsort(-shares, kind="stable").tolist()
    others = (slot for slot in best_first if slot != grounding.choice and shares[slot] > 0)
    return one_of_each(boxes, [grounding.choice, *others])[:count]


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


def _candidates(
    row: int,
    candidates: Candidates,
    boxes: Sequence[tuple[float, float, float, float]],
    choices: Choices,
    labels: Sequence[str],
) -> tuple[CandidateScore, ...]:
    """Return the scores of all candidates for one expression."""
    columns = (values[row].tolist() for values in choices.scores.values())
    scores = [dict(zip(choices.scores, each, strict=True)) for each in zip(*columns, strict=True)]
    return tuple(
        CandidateScore(box, labels[category], confidence, kept, probability, own)
        for box, category, confidence, kept, probability, own in zip(
            boxes,
            candidates.categories.tolist(),
            candidates.confidences.tolist(),
            choices.kept[row].tolist(),
            choices.probabilities[row].tolist(),
            scores or [{} for _ in boxes],
            strict=True,
        )
    )


def _boxes(candidates: Candidates) -> list[tuple[float, float, float, float]]:
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in candidates.boxes.tolist()]


def _mask(candidates: Candidates, slot: int) -> RLE | None:
    return None if candidates.masks is None else candidates.masks[slot]
