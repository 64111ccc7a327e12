"""Losses: the contrastive losses in both spaces, the text classifier's loss, and their weighted sum (Eq. 16 to 19)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligncat.alignment.config import AlignmentConfig, Space
from aligncat.alignment.inputs import Labels
from aligncat.alignment.negatives import select_negatives
from aligncat.alignment.relations import read_loss, relation_scores
from aligncat.alignment.result import Alignment
from aligncat.alignment.selection import select
from aligncat.errors import ConfigError


@dataclass(frozen=True)
class Peers:
    """The devices that share a batch, as one of them sees them. The default is one device that has the whole batch.

    Attributes:
        rank: the number of this device, from 0.
        gather: returns the (n, ...) tensors of all devices as one, (devices n, ...), in the order of their ranks. The
            gradients of all devices flow back to the device that a row comes from, and are summed there.
    """

    rank: int = 0
    gather: Callable[[Tensor], Tensor] = lambda tensor: tensor


ALONE = Peers()


def info_nce(positive: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """Return L_cl (Eq. 16), the InfoNCE loss, averaged over the texts.

    Args:
        positive: (B,), sim of each text with its positive query.
        negatives: (B, n), sim of each text with its negatives; -inf for a missing negative.
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
    related: Tensor | None = None,
    first: int = 0,
) -> Tensor:
    """Return one term of L_CL (Eq. 17): InfoNCE in one shared space, with negatives selected in the same space.

    Args:
        texts: (T, d), the projected texts. T is B, or less if the texts of the other samples are on other devices.
        queries: (B, O, d), the projected queries.
        choice: (T,) int64, the index of each text's positive query.
        valid: (B, O) bool, False at padding; at least one True value per row.
        image_index: (B,) int64, equal for samples of the same image.
        negatives_per_image: M.
        temperature: tau.
        related: (T, B, O), a further score of each text with the candidates of each sample, which is added to the
            similarities.
        first: the sample of the first text. The next texts are those of the next samples.
    """
    # One matrix product contains the similarities of all positives and negatives.
    scores = (texts @ queries.flatten(0, 1).T).view(len(texts), *valid.shape)
    if related is not None:
        scores = scores + related
    negatives = select_negatives(
        scores.detach(), queries.detach(), valid, image_index, negatives_per_image, first=first
    )
    chosen = scores.gather(2, negatives.indices).masked_fill(~negatives.mask, float("-inf"))
    text = torch.arange(len(texts), device=choice.device)
    return info_nce(scores[text, first + text, choice], chosen.flatten(1), temperature)


def category_loss(logits: Tensor, labels: Tensor, everyones: Tensor | None = None) -> Tensor:
    """Return L_CE (Eq. 18), the mean cross-entropy over the texts with a known c*; 0 if there are none.

    Args:
        logits: (T, C), the logits of the text classifier.
        labels: (T,) int64, c*; -1 if unknown.
        everyones: (B,) int64, c* of the texts on all devices, if there are several. The mean of the devices' losses is
            then the loss of all texts, even if more are known on one device than on another.
    """
    everyones = labels if everyones is None else everyones
    known = (everyones >= 0).sum().clamp(min=1) * (len(labels) / len(everyones))
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / known


def total_loss(losses: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return L = lambda_1 L_CL + lambda_2 L_CE (Eq. 19) with constant weights."""
    return torch.stack([weight * loss for weight, loss in zip(weights, losses, strict=True)]).sum()


def uncertainty_loss(losses: Sequence[Tensor], log_variances: Tensor) -> Tensor:
    """Return Eq. 19 with learned weights: the sum of exp(-s) L + s (Kendall et al., CVPR 2018).

    Args:
        losses: n scalars L.
        log_variances: (n,), s.
    """
    return (torch.exp(-log_variances) * torch.stack(list(losses)) + log_variances).sum()


class Objective(nn.Module):
    """All losses of a config, and their learned weights if it has any.

    Args:
        config: the spaces, negatives and weights to use.
    """

    def __init__(self, config: AlignmentConfig) -> None:
        super().__init__()
        self.config = config
        self.log_variances: nn.Parameter | None = None
        if config.weighting == "uncertainty" and config.classifier:
            self.log_variances = nn.Parameter(torch.tensor([-math.log(config.lambda_1), -math.log(config.lambda_2)]))

    def forward(
        self,
        alignment: Alignment,
        valid: Tensor,
        image_index: Tensor,
        labels: Labels | None,
        peers: Peers = ALONE,
    ) -> dict[str, Tensor]:
        """Return the losses of one batch, or of this device's part of a batch.

        Args:
            alignment: the result of the forward pass.
            valid: (B, O) bool, False at padding; at least one True value per row.
            image_index: (B,) int64, equal for samples of the same image, which are never each other's negatives.
            labels: what the texts mean. Required if the config has a text classifier. Without them, the classifiers of
                the second object's category and of the place in an order are not trained.
            peers: the devices whose candidates are negatives too. All must call this with parts of equal size; the mean
                of their losses is the loss of the whole batch.

        Returns:
            Scalars by name: "total" (Eq. 19), "contrastive" (Eq. 17) and its term "global"; its term "fine" if the
            config has a fine-grained space; "category" (Eq. 18) if it has a text classifier; "second" and "order", the
            cross-entropies of the second object's category and of the place in an order, if the config has relations
            and there are labels of them.

        Raises:
            ConfigError: the config has a text classifier and there are no labels.
        """
        # Candidates that were filtered out at the confidence stage have no score and are no negatives (Table 5).
        valid = valid & (alignment.global_scores > float("-inf"))
        chosen = alignment.choice
        coarse = chosen if self.config.coarse_positive == "chosen" else select(alignment.coarse_scores, valid)
        related = None
        if (relations := alignment.relations) is not None:
            images = replace(
                relations,
                objects=peers.gather(relations.objects),
                geometry=peers.gather(relations.geometry),
                neighbours=peers.gather(relations.neighbours),
                places=peers.gather(relations.places),
            )
            related = relation_scores(images)
        all_valid, all_images = peers.gather(valid), peers.gather(image_index)

        def loss(space: Space, texts: Tensor, queries: Tensor, choice: Tensor) -> Tensor:
            return contrastive_loss(
                texts,
                peers.gather(queries),
                choice,
                all_valid,
                all_images,
                negatives_per_image=self.config.negatives_per_image,
                temperature=self.config.temperature,
                related=related if self.config.relates(space) else None,
                first=peers.rank * len(texts),
            )

        losses = {"global": loss("global", alignment.global_texts, alignment.global_queries, coarse)}
        if alignment.fine_texts is not None and alignment.fine_queries is not None:
            losses["fine"] = loss("fine", alignment.fine_texts, alignment.fine_queries, chosen)
        losses["contrastive"] = torch.stack(list(losses.values())).sum()
        terms = [losses["contrastive"]]
        if alignment.category_logits is not None:
            if labels is None:
                raise ConfigError(
                    "the text classifier needs category labels and the data has none: set alignment.category_train and "
                    "alignment.category_infer to 'none'"
                )
            losses["category"] = category_loss(
                alignment.category_logits, labels.category, peers.gather(labels.category)
            )
            terms.append(losses["category"])
        if self.log_variances is not None:
            losses["total"] = uncertainty_loss(terms, self.log_variances)
        else:
            losses["total"] = total_loss(terms, (self.config.lambda_1, self.config.lambda_2)[: len(terms)])
        if relations is not None and labels is not None:
            read = {
                "second": (relations.second_logits, labels.second_category),
                "order": (relations.order_logits, labels.order),
            }
            for name, (logits, known) in read.items():
                if logits is not None:
                    losses[name] = read_loss(logits, known)
                    losses["total"] = losses["total"] + self.config.lambda_2 * losses[name]
        return losses
