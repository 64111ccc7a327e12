"""Selection of one candidate: category filter, the K best, argmax (section 4.2, Eq. 15)."""

from __future__ import annotations

import torch
from torch import Tensor


def with_category(class_scores: Tensor, category: Tensor, eligible: Tensor) -> tuple[Tensor, Tensor]:
    """Return the candidates that have the category of the expression, or all candidates if none has it.

    Args:
        class_scores: (B, O), S_class.
        category: (B,) int64, c* or c^T; -1 for none, which keeps all candidates.
        eligible: (B, O) bool, the candidates to filter.

    Returns:
        (B, O) bool, the remaining candidates, and (B,) bool, False if there is a category and no candidate has it.
    """
    matching = eligible & (class_scores == 1)
    any_matches = matching.any(dim=1)
    return matching | (eligible & ~any_matches[:, None]), any_matches | (category < 0)


def keep_best(scores: Tensor, eligible: Tensor, keep: int) -> Tensor:
    """Return the refined set: the K eligible candidates with the highest scores. Ties keep the lower index.

    Args:
        scores: (B, O).
        eligible: (B, O) bool, the candidates that may be kept.
        keep: K.

    Returns:
        (B, O) bool, with at most K True values per row.
    """
    ranked = scores.masked_fill(~eligible, float("-inf")).sort(dim=1, descending=True, stable=True).indices
    best = torch.zeros_like(eligible).scatter_(1, ranked[:, :keep], True)
    return best & eligible


def select(scores: Tensor, kept: Tensor) -> Tensor:
    """Return q* (Eq. 15), the index of the kept candidate with the highest score. Ties choose the lower index.

    Args:
        scores: (B, O).
        kept: (B, O) bool, the refined set.

    Returns:
        (B,) int64.
    """
    return scores.masked_fill(~kept, float("-inf")).argmax(dim=1)
