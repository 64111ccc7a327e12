"""The scores that a candidate gets, one function per equation (Eq. 5, 8, 9, 14)."""

from __future__ import annotations

import torch
from torch import Tensor


def category_score(categories: Tensor, category: Tensor) -> Tensor:
    """S_class (Eq. 5): 1 where a candidate's category is the expression's, else 0.

    Args:
        categories: (B, O) int64, c^V.
        category: (B,) int64, c* or c^T; -1 for none, which no candidate has.

    Returns:
        (B, O) float32 in {0, 1}.
    """
    return ((categories == category[:, None]) & (category[:, None] >= 0)).float()


def similarity(queries: Tensor, texts: Tensor) -> Tensor:
    """sim(., .): the dot product of each pair's queries (B, O, d) with its text (B, d), (B, O)."""
    return torch.einsum("bod,bd->bo", queries, texts)


def global_score(queries: Tensor, texts: Tensor) -> Tensor:
    """S_global (Eq. 8) of queries (B, O, d) and texts (B, d) projected by Eq. 6 and 7; (B, O)."""
    return similarity(queries, texts)


def coarse_score(class_scores: Tensor, global_scores: Tensor, alpha: float) -> Tensor:
    """S_coarse = alpha S_class + S_global (Eq. 9), all (B, O)."""
    return alpha * class_scores + global_scores


def fine_score(queries: Tensor, texts: Tensor) -> Tensor:
    """S_fine (Eq. 14) of queries (B, O, d) and texts (B, d) projected by Eq. 13 and 12; (B, O)."""
    return similarity(queries, texts)
