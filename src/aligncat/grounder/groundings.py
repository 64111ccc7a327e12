"""Make the groundings of one image from the choices and probabilities of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aligncat.grounder.choices import object_probability
from aligncat.grounder.grounding import Answer, CandidateScore, Grounding
from aligncat.types import Candidates, Choices


def grounding_of(
    row: int, expression: str, candidates: Candidates, choices: Choices, labels: Sequence[str], unknown: tuple[str, ...]
) -> Grounding:
    """Return the grounding of one expression.

    Args:
        row: the place of the expression in the choices.
        expression: its text.
        candidates: the candidates of the image.
        choices: the choices for expressions on this image.
        labels: the names of the detector's categories, by class index.
        unknown: the words of the expression that the grounder does not know.
    """
    choice = int(choices.choice[row])
    probabilities = choices.probabilities[row]
    return Grounding(
        expression=expression,
        box=_box(candidates, choice),
        mask=candidates.masks[choice],
        probability=object_probability(probabilities, candidates.boxes, choice),
        category=labels[candidates.categories[choice]],
        predicted_category=None if choices.predicted is None else choices.predicted[row],
        category_matched=bool(choices.category_matched[row]),
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
        match=None if choices.match is None else float(choices.match[row]),
    )


def with_answers(
    grounding: Grounding, slots: Sequence[int], candidates: Candidates, probabilities: NDArray[np.float32]
) -> Grounding:
    """Return a grounding with all its answers, whose other attributes describe the first of them.

    Args:
        grounding: the grounding of the expression.
        slots: the candidates that are the answers, best first.
        candidates: the candidates of the image.
        probabilities: (O,), the probability that each candidate is what the expression says, if the image has it.
    """
    shares = np.array([candidate.probability for candidate in grounding.candidates], np.float32)
    answers = tuple(
        Answer(
            box=grounding.candidates[slot].box,
            mask=candidates.masks[slot],
            match=float(probabilities[slot]),
            probability=object_probability(shares, candidates.boxes, slot),
            category=grounding.candidates[slot].category,
            choice=slot,
        )
        for slot in slots
    )
    best = answers[0]
    return replace(
        grounding,
        box=best.box,
        mask=best.mask,
        probability=best.probability,
        category=best.category,
        choice=best.choice,
        answers=answers,
    )


def _box(candidates: Candidates, slot: int) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = np.asarray(candidates.boxes[slot], float).tolist()
    return x1, y1, x2, y2
