"""`match`: the calibrated probability that an image has what an expression says.

The scores of a contrastive model have no scale of their own: each expression has its own. So the evidence for a
candidate is how its score compares with the scores of the same expression in reference images, and with the scores of
expressions that contradict it ("blue car" for "red car"). A logistic function of few numbers turns it into a
probability (`Calibration`). `aligncat.training.calibration` fits it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from aligncat.alignment.config import AlignmentConfig, Space
from aligncat.alignment.relations import relation_scores
from aligncat.alignment.result import Alignment
from aligncat.alignment.scores import log_partition
from aligncat.grounder.batches import Batch
from aligncat.grounder.features import ScaledColumn, found_features
from aligncat.grounder.model import GroundingModel
from aligncat.language.swaps import swapped
from aligncat.language.tokens import Tokens
from aligncat.types import Candidates

EVIDENCE = ("score", "confidence", "category", "contradiction")
"""What the probability depends on, in the order of `Logistic.weights`; `Evidence` describes each."""

_MARGIN = (-6.0, 3.0)  # the range of "contradiction"; an expression without a word to contradict has the upper end
_LEAST_CONFIDENCE = 1e-4
_PAIRS = 1024  # of expressions and images in one forward pass


class Images(NamedTuple):
    """The candidates of B images, one image for each expression.

    Attributes:
        features: (B, O, d_v), f_q.
        categories: (B, O) int64, c^V.
        valid: (B, O) bool, False for padding.
        confidences: (B, O) float32.
        boxes: (B, O, 4) float32, xyxy in shares of the photo's width and height.
    """

    features: Tensor
    categories: Tensor
    valid: Tensor
    confidences: Tensor
    boxes: Tensor

    @classmethod
    def repeated(cls, candidates: Candidates, columns: Sequence[ScaledColumn], count: int, device: str) -> Self:
        """Return the candidates of one image for each of `count` expressions, on a device.

        Args:
            candidates: the candidates.
            columns: the columns that the grounder reads beside f_q.
            count: B.
            device: the device.

        Raises:
            StoreError: the candidates lack a column, or have it in another length.
        """
        return cls(
            found_features(candidates, columns).to(device).expand(count, -1, -1),
            torch.tensor(candidates.categories, device=device).long().expand(count, -1),
            torch.ones(count, len(candidates), dtype=torch.bool, device=device),
            torch.tensor(candidates.confidences, device=device).expand(count, -1),
            torch.tensor(candidates.relative_boxes, device=device).expand(count, -1, -1),
        )

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Return the images of a batch."""
        return cls(batch.features, batch.categories, batch.valid, batch.confidences, batch.boxes)

    def rows(self, rows: Tensor) -> Images:
        """Return the images of the given rows, (n,) int64."""
        return Images(*(tensor[rows] for tensor in self))

    def to(self, device: str) -> Images:
        """Return the same images on a device."""
        return Images(*(tensor.to(device) for tensor in self))


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
        references: the candidates of the reference images, on the CPU.
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

    values: Tensor
    kept: Tensor
    choice: Tensor
    category: Tensor

    def probabilities(self, logistic: Logistic) -> Tensor:
        """Return the value of a logistic function for each candidate, (B, O); 0 outside the refined set."""
        logits = self.values @ self.values.new_tensor(list(logistic.weights)) + logistic.bias
        return logits.sigmoid().masked_fill(~self.kept, 0.0)


def align_references(model: GroundingModel, vocabulary: Tokens, references: Images) -> Alignment:
    """Return the alignment of the reference images with any expression, for their projected queries.

    Args:
        model: the trained model, in evaluation mode.
        vocabulary: its vocabulary.
        references: M reference images, on the model's device.
    """
    tokens = vocabulary.encode(["object"], 1).expand(len(references.features), -1)
    return align(model, references, tokens.to(references.features.device))


def contradictions(phrase: str, vocabulary: Tokens) -> list[str]:
    """Return the expressions that contradict another one in one word (`swapped`), if that word is known.

    Args:
        phrase: an expression.
        vocabulary: the grounder's vocabulary.
    """
    unknown = set(vocabulary.unknown(phrase))
    return [text for text in swapped(phrase) if unknown.issuperset(vocabulary.unknown(text))]


def gather_evidence(
    model: GroundingModel,
    vocabulary: Tokens,
    images: Images,
    phrases: Sequence[str],
    reference_valid: Tensor,
    references: Alignment,
) -> Evidence:
    """Return the evidence for B pairs of an expression and an image.

    Args:
        model: the trained model, in evaluation mode.
        vocabulary: its vocabulary.
        images: the images of the B pairs, on the model's device.
        phrases: the B expressions.
        reference_valid: (M, O) bool, the reference candidates, False for padding.
        references: the result of `align_references`.
    """

    def scored(images: Images, texts: Sequence[str]) -> tuple[Alignment, Tensor]:
        tokens = vocabulary.encode(texts, model.config.text.max_length).to(images.features.device)
        alignment = align(model, images, tokens)
        return alignment, _relative_scores(model.config.alignment, alignment, reference_valid, references)

    alignment, score = scored(images, phrases)
    margin = torch.full_like(score, _MARGIN[1])
    contradicting = [(row, text) for row, phrase in enumerate(phrases) for text in contradictions(phrase, vocabulary)]
    for start in range(0, len(contradicting), _PAIRS):
        part = contradicting[start : start + _PAIRS]
        owner = torch.tensor([row for row, _ in part], device=score.device)
        _, other = scored(images.rows(owner), [text for _, text in part])
        less = (score[owner] - other).nan_to_num(nan=_MARGIN[1])  # -inf - -inf where a filter dropped both
        margin.scatter_reduce_(0, owner[:, None].expand_as(less), less, "amin")
    values = [
        score,
        images.confidences.clamp(min=_LEAST_CONFIDENCE).log(),
        alignment.category_matched.float()[:, None].expand_as(score),
        margin.clamp(*_MARGIN),
    ]
    kept, choice = alignment.kept, alignment.choice
    chosen = images.categories.gather(1, choice[:, None])[:, 0]
    return Evidence(
        values=torch.stack(values, dim=2).masked_fill(~kept[:, :, None], 0.0),
        kept=kept,
        choice=choice,
        category=torch.where(alignment.category < 0, chosen, alignment.category),
    )


def align(model: GroundingModel, images: Images, tokens: Tensor) -> Alignment:
    """Return the alignment of B expressions, (B, L) token ids, with their images."""
    alignment: Alignment = model(images.features, images.categories, images.valid, tokens, boxes=images.boxes)
    return alignment


def _relative_scores(config: AlignmentConfig, alignment: Alignment, valid: Tensor, references: Alignment) -> Tensor:
    """Return the scores of the last space, (B, O), less their log partition over the reference candidates."""
    space: Space = "fine" if config.fine else "global"
    scores, texts, queries = alignment.global_scores, alignment.global_texts, references.global_queries
    if alignment.fine_scores is not None and alignment.fine_texts is not None and references.fine_queries is not None:
        scores, texts, queries = alignment.fine_scores, alignment.fine_texts, references.fine_queries
    related = None
    if config.relates(space) and alignment.relations is not None and references.relations is not None:
        related = relation_scores(alignment.relations.with_images(references.relations))
    return scores - log_partition(texts, queries, valid, related)[:, None]
