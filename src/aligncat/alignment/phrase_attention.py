"""Adaptive phrase attention (Eq. 10 to 12): a Bi-GRU modulates the words, then they are weighted and summed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aligncat.alignment.recurrent import read_words
from aligncat.errors import ConfigError


class PhraseAttention(nn.Module):
    """Phrase attention: turns the word features F_w into one phrase feature f_w, with one weight per word.

    Args:
        dim: d_t, the dimension of the words and of the result. It must be even, because each direction of the Bi-GRU
            provides half of it.

    Raises:
        ConfigError: `dim` is odd.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gru = bidirectional_gru(dim)
        self.weigh = nn.Linear(dim, 1)

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the phrase features and the word weights.

        Args:
            words: (B, L, d_t), F_w.
            mask: (B, L) bool, False at padding, which comes after the words.

        Returns:
            (B, d_t), f_w before its projection (Eq. 12), and (B, L), the word weights (Eq. 11), zero at padding.
        """
        modulated = read_words(self.gru, words, mask)  # Eq. 10
        weights = word_weights(self.weigh(modulated).squeeze(-1), mask)
        return phrase_feature(modulated, weights), weights


def bidirectional_gru(dim: int) -> nn.GRU:
    """Return a Bi-GRU for words of a dimension, half of which each direction provides.

    Raises:
        ConfigError: the dimension is odd.
    """
    if dim % 2:
        raise ConfigError(f"text.dim is {dim}; it must be even for the Bi-GRU")
    return nn.GRU(dim, dim // 2, batch_first=True, bidirectional=True)


def word_weights(scores: Tensor, mask: Tensor) -> Tensor:
    """Return one weight per word: the softmax over the words of each expression (Eq. 11).

    Args:
        scores: (B, L), one score per word.
        mask: (B, L) bool, False at padding.

    Returns:
        (B, L), zero at padding.
    """
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def phrase_feature(modulated: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of the modulated words, which Eq. 12 then projects.

    Args:
        modulated: (B, L, d_t), the modulated words of Eq. 10.
        weights: (B, L), the word weights of Eq. 11.

    Returns:
        (B, d_t).
    """
    return torch.einsum("bld,bl->bd", modulated, weights)
