"""What is learned: contrastive losses in both spaces, the text classifier's, and their sum (Eq. 16 to 19)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligncat.alignment.config import AlignmentConfig
from aligncat.alignment.negatives import select_negatives
from aligncat.alignment.selection import select
from aligncat.errors import ConfigError
from aligncat.types import Alignment


def info_nce(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """L_cl (Eq. 16), the mean over texts of -log of the positive's share.

    Args:
        positive: (B,) sim of each text with its positive query.
        negatives: (B, n) sim with its negatives; -inf for one that does not exist.
        temperature: tau.
    """
    logits = torch.cat([positive[:, None], negatives], dim=1) / temperature
    return (logits.logsumexp(dim=1) - logits[:, 0]).mean()


def contrastive_loss(
    texts: Tensor,
    queries: Tensor,
    choice: Tensor,
    valid: Tensor,
    image_index: Tensor,
    *,
    negatives_per_image: int,
    temperature: float,
) -> Tensor:
    """One term of L_CL (Eq. 17): InfoNCE in one shared space, its negatives chosen in that space.

    Args:
        texts: (B, d), projected.
        queries: (B, O, d), projected.
        choice: (B,) int64, q*, the positive of each text.
        valid: (B, O) bool, candidates that exist; every sample has one.
        image_index: (B,) int64, equal for samples of one image.
        negatives_per_image: M.
        temperature: tau.
    """
    batch, slots = valid.shape
    # One product holds every logit; positives and negatives are read out of it.
    scores = (texts @ queries.flatten(0, 1).T).view(batch, batch, slots)
    negatives = select_negatives(scores.detach(), queries.detach(), valid, image_index, negatives_per_image)
    chosen = scores.gather(2, negatives.indices).masked_fill(~negatives.mask, float("-inf"))
    pairs = torch.arange(batch, device=choice.device)
    return info_nce(scores[pairs, pairs, choice], chosen.flatten(1), temperature)


def category_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """L_CE (Eq. 18), the mean cross-entropy over the texts whose c* is known (label >= 0); 0 where none is.

    Args:
        logits: (B, C).
        labels: (B,) int64, c*; -1 for unknown.
    """
    known = (labels >= 0).sum().clamp(min=1)
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / known


def total_loss(losses: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """L = lambda_1 L_CL + lambda_2 L_CE (Eq. 19) with constant weights."""
    return torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum()


def uncertainty_loss(losses: Sequence[Tensor], log_variances: Tensor) -> Tensor:
    """Eq. 19 with learned weights: the sum of exp(-s) L + s (Kendall et al., CVPR 2018).

    Args:
        losses: n scalars.
        log_variances: (n,), s.
    """
    return (torch.exp(-log_variances) * torch.stack(list(losses)) + log_variances).sum()


class Objective(nn.Module):
    """The losses that a config asks for, with the learned weights where it has them.

    Args:
        config: which spaces, negatives and weights.
    """

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.config = config
        self.log_variances: nn.Parameter | None = None
        if config.weighting == "uncertainty" and config.classifier:
            self.log_variances = nn.Parameter(torch.tensor([-math.log(config.lambda_1), -math.log(config.lambda_2)]))

    def forward(
        self, alignment: Alignment, valid: Tensor, image_index: Tensor, labels: Tensor | None
    ) -> dict[str, Tensor]:
        """The losses of one batch.

        Args:
            alignment: the forward pass.
            valid: (B, O) bool, candidates that exist; every sample has one.
            image_index: (B,) int64, equal for samples of one image: those are never each other's negatives.
            labels: (B,) int64, c*; -1 for unknown. Needed where there is a text classifier.

        Returns:
            Scalars: "total" (Eq. 19), "contrastive" (Eq. 17) and its terms "global" and, with a fine space,
            "fine"; with a text classifier "category" (Eq. 18).

        Raises:
            ConfigError: there is a text classifier and no labels.
        """
        # A candidate that the confidence stage left out has no score, and is no negative either (Table 5).
        valid = valid & (alignment.global_scores > float("-inf"))
        chosen = alignment.choice
        coarse = chosen if self.config.coarse_positive == "chosen" else select(alignment.coarse_scores, valid)
        losses = {"global": self._space(alignment.global_texts, alignment.global_queries, coarse, valid, image_index)}
        if alignment.fine_texts is not None and alignment.fine_queries is not None:
            losses["fine"] = self._space(alignment.fine_texts, alignment.fine_queries, chosen, valid, image_index)
        losses["contrastive"] = torch.stack(list(losses.values())).sum()
        terms = [losses["contrastive"]]
        if alignment.category_logits is not None:
            if labels is None:
                raise ConfigError(
                    "the text classifier learns from category labels and the data has none: set "
                    "alignment.category_train and alignment.category_infer to 'none'"
                )
            losses["category"] = category_loss(alignment.category_logits, labels)
            terms.append(losses["category"])
        if self.log_variances is not None:
            losses["total"] = uncertainty_loss(terms, self.log_variances)
        else:
            losses["total"] = total_loss(terms, (self.config.lambda_1, self.config.lambda_2)[: len(terms)])
        return losses

    def _space(self, texts: Tensor, queries: Tensor, choice: Tensor, valid: Tensor, image_index: Tensor) -> Tensor:
        return contrastive_loss(
            texts,
            queries,
            choice,
            valid,
            image_index,
            negatives_per_image=self.config.negatives_per_image,
            temperature=self.config.temperature,
        )
