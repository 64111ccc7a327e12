"""Adaptive phrase attention (Eq. 10 to 12): words recalibrated by a Bi-GRU, weighed and summed."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PhraseAttention(nn.Module):
    """F_w -> f_w, with one weight for each word.

    Args:
        dim: d_t, of the words and of the result; each direction of the Bi-GRU has half of it.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.forward_gru = nn.GRU(dim, dim // 2, batch_first=True)
        self.backward_gru = nn.GRU(dim, dim // 2, batch_first=True)
        self.weigh = nn.Linear(dim, 1)

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh and sum the words.

        Args:
            words: (B, L, d_t), F_w.
            mask: (B, L) bool, the words that are there; they come before the padding.

        Returns:
            f_w (B, d_t) and the weights (B, L) of Eq. 11, zero at padding.
        """
        modulated = self.modulate(words, mask)
        weights = word_weights(self.weigh(modulated).squeeze(-1), mask)
        return phrase_feature(modulated, weights), weights

    def modulate(self, words: Tensor, mask: Tensor) -> Tensor:
        """Eq. 10: both directions of the Bi-GRU, concatenated, (B, L, d_t)."""
        # Each sentence is reversed within its own length, so the backward direction starts at the last word
        # and not in the padding. Same values as packing, without packing's trip of the lengths to the host.
        order = _reversal(mask)[..., None]
        onward, _ = self.forward_gru(words)
        back, _ = self.backward_gru(words.gather(1, order.expand_as(words)))
        return torch.cat([onward, back.gather(1, order.expand_as(back))], dim=-1)


def word_weights(scores: Tensor, mask: Tensor) -> Tensor:
    """Eq. 11: the softmax of scores (B, L) over the words that are there."""
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def phrase_feature(modulated: Tensor, weights: Tensor) -> Tensor:
    """The sum of Eq. 12: modulated words (B, L, d) by weights (B, L), (B, d)."""
    return torch.einsum("bld,bl->bd", modulated, weights)


def _reversal(mask: Tensor) -> Tensor:
    """(B, L) positions that turn each sentence around and leave its padding; its own inverse."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(dim=1, keepdim=True) - 1 - positions, positions)
