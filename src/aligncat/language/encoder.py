"""The recurrent text encoder of QueryMatch and AlignCAT: GRU, self-attention, attentive pooling."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aligncat.alignment.recurrent import read_words
from aligncat.errors import ConfigError
from aligncat.language.config import Norm, TextEncoderConfig
from aligncat.language.vocabulary import PAD, UNK


class EncodedText(NamedTuple):
    """The features of a batch of expressions.

    Attributes:
        sentences: (B, d_t), f_t.
        words: (B, L, d_t), F_w; zero at padding.
        mask: (B, L) bool, False at padding.
    """

    sentences: Tensor
    words: Tensor
    mask: Tensor


class TextEncoder(nn.Module):
    """Word vectors -> GRU -> post-norm self-attention blocks (F_w) -> attentive pooling (f_t).

    The features of an expression do not depend on the amount of padding.

    Args:
        config: the settings of the encoder.
        vocabulary_size: V, including special symbols.
        vectors: (V, word_dim), initial word vectors; None for random ones.

    Raises:
        ConfigError: the shape of the vectors does not fit the vocabulary and the config.
    """

    def __init__(self, config: TextEncoderConfig, vocabulary_size: int, vectors: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary_size, config.word_dim, padding_idx=PAD)
        if vectors is not None:
            self._set_vectors(vectors)
        self.embedding.weight.requires_grad_(not config.freeze_vectors)
        self.gru = nn.GRU(config.word_dim, config.dim, batch_first=True)
        self.blocks = nn.ModuleList(
            SelfAttentionBlock(config.dim, config.heads, config.feedforward, config.dropout, config.norm)
            for _ in range(config.blocks)
        )
        self.pooling = AttentivePooling(config.dim)

    def forward(self, tokens: Tensor) -> EncodedText:
        """Encode a batch.

        Args:
            tokens: (B, L) int64 from `Vocabulary.encode`, PAD only at the end.
        """
        mask = tokens != PAD
        if self.training and self.config.unknown_rate > 0:
            replaced = torch.rand(tokens.shape, device=tokens.device) < self.config.unknown_rate
            tokens = tokens.masked_fill(replaced & mask, UNK)
        states = read_words(self.gru, self.embedding(tokens), mask)
        # Lengths vary so much that about half of a padded batch is padding. The blocks process a flat list of the words
        # without the padding.
        places = mask.flatten().nonzero().squeeze(1)
        listed = states.flatten(0, 1).index_select(0, places)
        for block in self.blocks:
            listed = block(listed, places, mask)
        words = _spread(listed, places, mask)
        return EncodedText(sentences=self.pooling(words, mask), words=words, mask=mask)

    def _set_vectors(self, vectors: Tensor) -> None:
        if vectors.shape != self.embedding.weight.shape:
            raise ConfigError(
                f"the word vectors have shape {tuple(vectors.shape)}, but (vocabulary, text.word_dim) is "
                f"{tuple(self.embedding.weight.shape)}: set text.word_dim to {vectors.shape[-1]}"
            )
        with torch.no_grad():
            self.embedding.weight.copy_(vectors)


class SelfAttentionBlock(nn.Module):
    """A post-norm transformer block over the words of each expression, equivalent to `nn.TransformerEncoderLayer`.

    Args:
        dim: the dimension of the words.
        heads: the number of attention heads; must divide `dim`.
        feedforward: the number of hidden units of the MLP.
        dropout: the dropout rate after the attention's softmax, after both sublayers and after the MLP's activation.
        norm: see `TextEncoderConfig.norm`.
    """

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float, norm: Norm = "variance") -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.attend_in = nn.Linear(dim, 3 * dim)
        self.attend_out = nn.Linear(dim, dim)
        self.expand = nn.Linear(dim, feedforward)
        self.contract = nn.Linear(feedforward, dim)
        norm_class = nn.LayerNorm if norm == "variance" else DeviationNorm
        self.attended_norm = norm_class(dim)
        self.norm = norm_class(dim)

    def forward(self, words: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """Process the words of all expressions.

        Args:
            words: (n, d), a list of the words of all expressions.
            places: (n,) int64, the position of each word in the flattened mask.
            mask: (B, L) bool, False at padding.

        Returns:
            (n, d).
        """
        words = self.attended_norm(words + self._drop(self._attend(words, places, mask)))
        hidden = self._drop(F.relu(self.expand(words)))
        result: Tensor = self.norm(words + self._drop(self.contract(hidden)))
        return result

    def _attend(self, words: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        spread = _spread(self.attend_in(words), places, mask)
        query, key, value = spread.view(*mask.shape, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        listed = attended.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, places)
        result: Tensor = self.attend_out(listed)
        return result

    def _drop(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.dropout, self.training)


class DeviationNorm(nn.Module):
    """QueryMatch's layer norm: (x - mean) / (sample standard deviation + 1e-6), scaled and shifted.

    Args:
        dim: the size of the last axis, which is normalised.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, values: Tensor) -> Tensor:
        """Normalise values (..., dim) over their last axis."""
        centred = values - values.mean(dim=-1, keepdim=True)
        return self.weight * centred / (values.std(dim=-1, keepdim=True) + 1e-6) + self.bias


class AttentivePooling(nn.Module):
    """Attentive pooling: an MLP and a softmax give each word a weight, then the weighted sum is projected.

    Args:
        dim: the dimension of the words and of the result.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, 1))
        self.project = nn.Linear(dim, dim)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Pool the words of each expression into one vector.

        Args:
            words: (B, L, d).
            mask: (B, L) bool, False at padding.

        Returns:
            (B, d).
        """
        scores = self.score(words).squeeze(-1).masked_fill(~mask, float("-inf"))
        pooled: Tensor = self.project(torch.einsum("bl,bld->bd", scores.softmax(dim=-1), words))
        return pooled


def _spread(listed: Tensor, places: Tensor, mask: Tensor) -> Tensor:
    """Arrange a list of words (n, d) as (B, L, d), with zeros at padding."""
    spread = listed.new_zeros(mask.numel(), listed.shape[1]).index_copy_(0, places, listed)
    return spread.view(*mask.shape, -1)
