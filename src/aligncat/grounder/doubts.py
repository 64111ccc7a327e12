"""What speaks against an answer: the sentences in `Grounding.warnings`, and thresholds that leave it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aligncat.errors import ConfigError
from aligncat.grounder.grounding import Grounding

LOW_MATCH = 0.5
"""Below this `Grounding.match`, the photo more probably lacks what the phrase says than it has it."""


def doubts(
    *,
    match: float | None,
    category: str | None,
    found: bool,
    unknown: Sequence[str],
    guessed: bool = False,
    further: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the warnings of one answer, each a sentence.

    Args:
        match: the calibrated probability that the photo has what the phrase says; None if there is none.
        category: the category that the phrase was read as one for; None if it was not read so.
        found: whether a candidate has that category.
        unknown: the words of the phrase that the grounder does not know, as they are written in it.
        guessed: whether the noun of the phrase is one of them, so that the category was read from other words.
        further: further warnings, such as one about the photo.
    """
    said = []
    if match is not None and match < LOW_MATCH:
        said.append(f"The photo may not show this: match is {match:.2f}.")
    if category is not None and guessed:
        nothing = "" if found else "; nothing in the photo was found as one"
        said.append(
            f"The grounder does not know the noun of the phrase, so the category {category} is a guess{nothing}."
        )
    elif category is not None and not found:
        said.append(
            f"The phrase was read as one for the category {category}, and nothing in the photo was found as one."
        )
    if unknown:
        said.append(f"Words that the grounder does not know: {', '.join(unknown)}.")
    return (*said, *further)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least probabilities of an answer. Answers below them are left out.

    Attributes:
        match: the least `Grounding.match`; None for any.
        probability: the least `Grounding.probability`; None for any. Of the N best candidates (`top`), each needs it.
            The objects of a phrase for several share their probability, so their sum needs it.
    """

    match: float | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        for name in ("match", "probability"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ConfigError(f"--min_{name} is {value}: give a probability from 0 to 1")

    def kept(self, grounding: Grounding, *, top: bool) -> Grounding | None:
        """Return what is left of an answer, or None if nothing is.

        Args:
            grounding: the answer.
            top: whether its `answers` are the best candidates instead of the objects of a phrase for several.
        """
        if self.match is not None and (grounding.match or 0.0) < self.match:
            return None
        if self.probability is None:
            return grounding
        least = self.probability
        if top and grounding.answers:
            answers = tuple(each for each in grounding.answers if each.probability >= least)
            return grounding.with_answers(answers) if answers else None
        shares = [each.probability for each in grounding.answers] or [grounding.probability]
        return grounding if sum(shares) >= least else None

    def reason(self, grounding: Grounding) -> str:
        """Return why an answer was left out, with its probability."""
        if self.match is not None and (grounding.match or 0.0) < self.match:
            return f"nothing matches: match {grounding.match or 0.0:.2f}"
        return f"nothing is probable enough: probability {grounding.probability:.2f}"
