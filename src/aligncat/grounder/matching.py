"""`match`: the calibrated probability that an image has what an expression says.

The scores of a contrastive model have no scale of their own: each expression has its own. So the evidence for a
candidate is how its score compares with the scores of the same expression in reference images, and with the scores of
expressions that contradict it ("blue car" for "red car"). A logistic function of few numbers turns it into a
probability (`Calibration`). `aligncat.training.calibration` fits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import ConfigError
from aligncat.grounder.images import Images
from aligncat.grounder.scored import Scored, Scorer
from aligncat.language.swaps import swapped
from aligncat.language.tokens import Tokens

EVIDENCE = ("score", "confidence", "category", "contradiction")
"""What the probability depends on, in the order of `Logistic.weights`; `Evidence` describes each."""

_MARGIN = (-6.0, 3.0)  # the range of "contradiction"; an expression without a word to contradict has the upper end
_LEAST_CONFIDENCE = 1e-4
_PAIRS = 1024  # of expressions and images in one forward pass


class Logistic(NamedTuple):
    """A logistic function of the evidence for a candidate.

    Attributes:
        weights: the weight of each of EVIDENCE, at least 0.
        bias: the constant.
    """

    weights: tuple[float, ...]
    bias: float


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What turns scores into probabilities.

    Attributes:
        present: the probability, for the best candidate, that the image has what the expression says.
        answer: the probability, for each candidate, that it is what the expression says, where some candidate is.
        references: the candidates of the reference images.
        fitted: how it was fitted, as JSON values: the split, the number of pairs, the assumed share of absent ones.
    """

    present: Logistic
    answer: Logistic
    references: Images
    fitted: dict[str, str | int | float]


class Evidence(NamedTuple):
    """What speaks for and against each candidate of B pairs of an expression and an image.

    Attributes:
        values: (B, O, 4) float32, in the order of EVIDENCE. "score": S_fine (S_global without a fine space) less the
            log of the mean of exp(score) over the reference candidates. "confidence": the log of the detector's.
            "category": 1 if some candidate has the category c^T, 0 after the category fallback. "contradiction":
            "score" less the highest "score" of a contradicting expression. All are 0 outside the refined set.
        kept: (B, O) bool, the refined set.
        choice: (B,) int64, the index of q*.
        category: (B,) int64, c^T, or c^V of q* where there is no c^T.
    """

    values: NDArray[np.float32]
    kept: NDArray[np.bool_]
    choice: NDArray[np.int64]
    category: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Evidence]) -> Evidence:
        """Return the evidence of several batches, at least one, in order."""
        return cls(
            np.concatenate([each.values for each in parts]),
            np.concatenate([each.kept for each in parts]),
            np.concatenate([each.choice for each in parts]),
            np.concatenate([each.category for each in parts]),
        )

    def first(self, count: int) -> Evidence:
        """Return the evidence of the first pairs."""
        return Evidence(self.values[:count], self.kept[:count], self.choice[:count], self.category[:count])

    def probabilities(self, logistic: Logistic) -> NDArray[np.float32]:
        """Return the value of a logistic function for each candidate, (B, O); 0 outside the refined set."""
        logits = self.values @ np.array(logistic.weights, np.float32) + np.float32(logistic.bias)
        values: NDArray[np.float32] = np.where(self.kept, np.exp(-np.logaddexp(np.float32(0), -logits)), np.float32(0))
        return values


def contradictions(phrase: str, vocabulary: Tokens) -> list[str]:
    """Return the expressions that contradict another one in one word (`swapped`), if that word is known.

    Args:
        phrase: an expression.
        vocabulary: the grounder's vocabulary.
    """
    unknown = set(vocabulary.unknown(phrase))
    return [text for text in swapped(phrase) if unknown.issuperset(vocabulary.unknown(text))]


def gather_evidence(
    scorer: Scorer,
    vocabulary: Tokens,
    images: Images,
    phrases: Sequence[str],
    max_length: int,
    scored: Scored | None = None,
) -> Evidence:
    """Return the evidence for B pairs of an expression and an image.

    Args:
        scorer: the trained model, with reference images.
        vocabulary: its vocabulary.
        images: the images of the B pairs.
        phrases: the B expressions.
        max_length: the number of words, or word pieces, that the model reads of each expression.
        scored: the forward pass of the B pairs, with relative scores; by default it is made here.
    """

    def read(images: Images, texts: Sequence[str]) -> Scored:
        return scorer.score(images, vocabulary.ids(texts, max_length), relative=True)

    found = read(images, phrases) if scored is None else scored
    score = _relative(found)
    margin = np.full_like(score, _MARGIN[1])
    contradicting = [(row, text) for row, phrase in enumerate(phrases) for text in contradictions(phrase, vocabulary)]
    for start in range(0, len(contradicting), _PAIRS):
        part = contradicting[start : start + _PAIRS]
        owner = np.array([row for row, _ in part], np.int64)
        other = _relative(read(images.rows(owner), [text for _, text in part]))
        with np.errstate(invalid="ignore"):  # -inf - -inf where a filter dropped both
            less = score[owner] - other
        np.minimum.at(margin, owner, np.where(np.isnan(less), np.float32(_MARGIN[1]), less))
    values = [
        score,
        np.log(np.maximum(images.confidences, np.float32(_LEAST_CONFIDENCE))),
        np.broadcast_to(found.category_matched[:, None], score.shape),
        margin.clip(*_MARGIN),
    ]
    chosen = np.take_along_axis(images.categories, found.choice[:, None], axis=1)[:, 0]
    return Evidence(
        values=np.where(found.kept[:, :, None], np.stack(values, axis=2), 0).astype(np.float32),
        kept=found.kept,
        choice=found.choice,
        category=np.where(found.category < 0, chosen, found.category),
    )


def _relative(scored: Scored) -> NDArray[np.float32]:
    if scored.relative is None:
        raise ConfigError("the grounder is not calibrated: it has no reference images; train it with --val_split")
    return scored.relative
