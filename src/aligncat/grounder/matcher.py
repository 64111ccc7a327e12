"""The calibrated part of a grounder: `match`, and the answers where an expression means several objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import ConfigError
from aligncat.grounder.distinct import one_of_each
from aligncat.grounder.images import Images
from aligncat.grounder.matching import Logistic, gather_evidence
from aligncat.grounder.scored import Scored, Scorer
from aligncat.language.several import phrase_for_one, several_of
from aligncat.language.tokens import Tokens

ANSWER = 0.5
"""The least probability of an answer where an expression means several objects and does not say how many."""


class Match(NamedTuple):
    """The probabilities of B expressions.

    Attributes:
        present: (B,) float32, that the image has what the expression says; 0 without candidates.
        answers: (B, O) float32, that each candidate is what the expression says, if the image has it; 0 outside the
            refined set. If an expression means all objects that its noun names, it is the probability that the
            candidate is one.
    """

    present: NDArray[np.float32]
    answers: NDArray[np.float32]


class Matcher:
    """Computes how probable it is that expressions are true of candidates.

    Threads can share a matcher.

    Args:
        present: the probability, for the best candidate, that the image has what the expression says.
        answer: the probability, for each candidate, that it is what the expression says.
        scorer: the trained model, with reference images.
        vocabulary: its vocabulary.
        max_length: the number of words, or word pieces, that it reads of each expression.
    """

    def __init__(
        self, present: Logistic, answer: Logistic, scorer: Scorer, vocabulary: Tokens, max_length: int
    ) -> None:
        self._present = present
        self._answer = answer
        self._scorer = scorer
        self._vocabulary = vocabulary
        self._max_length = max_length

    def match(self, images: Images, phrases: Sequence[str], scored: Scored | None = None) -> Match:
        """Return how probable it is that expressions, or their singulars, are true.

        Args:
            images: the images of B expressions.
            phrases: the B expressions.
            scored: the forward pass of the expressions or their singulars (`phrase_for_one`), with relative scores; by
                default it is made here.
        """
        meant = [phrase_for_one(phrase) for phrase in phrases]
        evidence = gather_evidence(self._scorer, self._vocabulary, images, meant, self._max_length, scored)
        present = evidence.probabilities(self._present)
        # `answer` tells objects of a category apart by what an expression says of them. A noun alone says nothing.
        alone = np.array([(said := several_of(phrase)) is not None and said.alone for phrase in phrases])
        answers = np.where(alone[:, None], present, evidence.probabilities(self._answer))
        return Match(present.max(axis=1), answers)


def required_matcher(matcher: Matcher | None) -> Matcher:
    """Return a grounder's matcher.

    Raises:
        ConfigError: the grounder is not calibrated.
    """
    if matcher is None:
        raise ConfigError(
            "this grounder is not calibrated, so it has no match, which --several and --min_match need: it was "
            "imported, made by an earlier version, or trained without a validation split of enough phrases that "
            "people wrote; leave them out, or train one with --val_split"
        )
    return matcher


def answer_slots(phrase: str, choice: int, answers: NDArray[np.float32], boxes: NDArray[np.float32]) -> list[int]:
    """Return the candidates that an expression refers to, best first, each object once.

    For an expression that means one object, this is the choice. For several, it is as many of the most probable objects
    as the expression says, or else all that are as probable as ANSWER; in any case the most probable one.

    Args:
        phrase: the expression.
        choice: the index of the chosen candidate.
        answers: (O,), one row of `Match.answers`.
        boxes: (O, 4) xyxy in any unit.
    """
    said = several_of(phrase)
    if said is None:
        return [choice]
    wanted = answers >= ANSWER if said.count is None else answers > 0
    best_first = np.argsort(-answers, kind="stable").tolist()
    return one_of_each(boxes, best_first[: max(1, int(wanted.sum()))])[: said.count]
