"""Scores of candidates, one function per equation (Eq. 5, 8, 9, 14)."""

from __future__ import annotations

import torch
from torch import Tensor


def category_score(categories: Tensor, category: Tensor) -> Tensor:
    """Return S_class (Eq. 5): 1 if a candidate has the category of the expression, otherwise 0.

    Args:
        categories: (B, O) int64, c^V.
        category: (B,) int64, c* or c^T; -1 for none, which makes all scores of the expression 0.

    Returns:
        (B, O) float32 in {0, 1}.
    """
    return ((categories == category[:, None]) & (category[:, None] >= 0)).float()


def similarity(queries: Tensor, texts: Tensor) -> Tensor:
    """Return sim(f_q, f_t), the dot product of each query with the text of the same sample.

    Args:
        queries: (B, O, d), projected queries.
        texts: (B, d), projected texts.

    Returns:
        (B, O).
    """
    return torch.einsum("bod,bd->bo", queries, texts)


def global_score(queries: Tensor, texts: Tensor) -> Tensor:
    """Return S_global (Eq. 8).

    Args:
        queries: (B, O, d), the projected queries of Eq. 6.
        texts: (B, d), the projected texts of Eq. 7.

    Returns:
        (B, O).
    """
    return similarity(queries, texts)


def coarse_score(class_scores: Tensor, global_scores: Tensor, alpha: float) -> Tensor:
    """Return S_coarse = alpha S_class + S_global (Eq. 9).

    Args:
        class_scores: (B, O), S_class.
        global_scores: (B, O), S_global.
        alpha: weight of S_class.

    Returns:
        (B, O).
    """
    return alpha * class_scores + global_scores


def fine_score(queries: Tensor, texts: Tensor) -> Tensor:
    """Return S_fine (Eq. 14).

    Args:
        queries: (B, O, d), the projected queries of Eq. 13.
        texts: (B, d), the projected texts of Eq. 12.

    Returns:
        (B, O).
    """
    return similarity(queries, texts)


def log_partition(texts: Tensor, queries: Tensor, valid: Tensor, related: Tensor | None = None) -> Tensor:
    """Return the log of the mean of exp(sim) of each text over reference queries, the scale of the text's scores.

    InfoNCE (Eq. 16) makes a score less this value comparable between texts: it estimates how much more likely the
    query is with the text than without it (van den Oord et al. 2018).

    Args:
        texts: (B, d), projected texts.
        queries: (M, O, d), the projected queries of M reference images.
        valid: (M, O) bool, False at padding; at least one True value.
        related: (B, M, O), what is added to sim, such as the score of relations.

    Returns:
        (B,).
    """
    scores = texts @ queries.flatten(0, 1).T
    if related is not None:
        scores = scores + related.flatten(1)
    # Padding is masked and not left out, because what is exported must not have a size that depends on values.
    return scores.masked_fill(~valid.flatten(), float("-inf")).logsumexp(dim=1) - valid.sum().log()
