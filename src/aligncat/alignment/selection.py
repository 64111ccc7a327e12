"""From candidates to the chosen one: the category filter, the K best, the argmax (section 4.2, Eq. 15)."""

from __future__ import annotations

import torch
from torch import Tensor


def with_category(class_scores: Tensor, category: Tensor, eligible: Tensor) -> tuple[Tensor, Tensor]:
    """The candidates that have the category, or all of them where none has.

    Args:
        class_scores: (B, O), S_class.
        category: (B,) int64; -1 for none, which asks nothing of the candidates.
        eligible: (B, O) bool, candidates to filter.

    Returns:
        (B, O) bool, and (B,) bool: False where a category was asked for and no candidate had it.
    """
    having = eligible & (class_scores == 1)
    any_has = having.any(dim=1)
    return torch.where(any_has[:, None], having, eligible), any_has | (category < 0)


def keep_best(scores: Tensor, eligible: Tensor, keep: int) -> Tensor:
    """The refined set: the `keep` eligible candidates of highest score, at equal scores the first.

    Args:
        scores: (B, O).
        eligible: (B, O) bool.
        keep: K.

    Returns:
        (B, O) bool, with at most K True in a row.
    """
    ranked = scores.masked_fill(~eligible, float("-inf")).sort(dim=1, descending=True, stable=True).indices
    best = torch.zeros_like(eligible).scatter_(1, ranked[:, :keep], True)
    return best & eligible


def select(scores: Tensor, kept: Tensor) -> Tensor:
    """q* (Eq. 15): the index of the highest score among the kept, (B,) int64; at equal scores the first."""
    return scores.masked_fill(~kept, float("-inf")).argmax(dim=1)
