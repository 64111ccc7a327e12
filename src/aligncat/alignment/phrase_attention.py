"""Adaptive phrase attention (Eq. 10 to 12): words recalibrated by a Bi-GRU, weighed and summed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from aligncat.errors import ConfigError


class PhraseAttention(nn.Module):
    """F_w -> f_w, with one weight for each word.

    Args:
        dim: d_t, of the words and of the result; even, because each direction of the Bi-GRU has half of it.

    Raises:
        ConfigError: `dim` is odd.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim % 2:
            raise ConfigError(f"text.dim is {dim}; the Bi-GRU needs an even number")
        self.gru = nn.GRU(dim, dim // 2, batch_first=True, bidirectional=True)
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
        """Eq. 10: both directions of the Bi-GRU, concatenated, (B, L, d_t); zero at padding."""
        # Packed, so that the backward direction starts at a sentence's last word and not in its padding.
        lengths = mask.sum(dim=1).cpu()
        packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        modulated, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=mask.shape[1])
        return modulated


def word_weights(scores: Tensor, mask: Tensor) -> Tensor:
    """Eq. 11: the softmax of scores (B, L) over the words that are there."""
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def phrase_feature(modulated: Tensor, weights: Tensor) -> Tensor:
    """The sum of Eq. 12: modulated words (B, L, d) by weights (B, L), (B, d)."""
    return torch.einsum("bld,bl->bd", modulated, weights)
