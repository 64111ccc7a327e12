"""The recurrent text encoder that QueryMatch and AlignCAT share: GRU, self-attention, attentive pooling."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from aligncat.errors import ConfigError
from aligncat.language.config import Norm, TextEncoderConfig
from aligncat.language.vocabulary import PAD, UNK


class EncodedText(NamedTuple):
    """A batch of expressions as features.

    Attributes:
        sentences: (B, d_t), f_t.
        words: (B, L, d_t), F_w; zero at padding.
        mask: (B, L) bool, the words that are there.
    """

    sentences: Tensor
    words: Tensor
    mask: Tensor


class TextEncoder(nn.Module):
    """Word vectors -> GRU -> post-norm self-attention blocks (F_w) -> attentive pooling (f_t).

    What an expression gives does not depend on the padding beside it.

    Args:
        config: the sizes.
        vocabulary_size: V, special symbols included.
        vectors: (V, word_dim) word vectors to start from; random ones when None.

    Raises:
        ConfigError: the vectors are of another size.
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
            forgotten = torch.rand(tokens.shape, device=tokens.device) < self.config.unknown_rate
            tokens = tokens.masked_fill(forgotten & mask, UNK)
        packed = pack_padded_sequence(
            self.embedding(tokens), mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=tokens.shape[1])
        # Expressions are short and of many lengths: half of a padded batch is padding, so the blocks work on
        # the list of words that are there.
        places = mask.flatten().nonzero().squeeze(1)
        listed = states.flatten(0, 1).index_select(0, places)
        for block in self.blocks:
            listed = block(listed, places, mask)
        words = _spread(listed, places, mask)
        return EncodedText(sentences=self.pooling(words, mask), words=words, mask=mask)

    def _set_vectors(self, vectors: Tensor) -> None:
        if vectors.shape != self.embedding.weight.shape:
            raise ConfigError(
                f"the word vectors are {tuple(vectors.shape)} and (vocabulary, text.word_dim) is "
                f"{tuple(self.embedding.weight.shape)}; set text.word_dim to {vectors.shape[-1]}"
            )
        with torch.no_grad():
            self.embedding.weight.copy_(vectors)


class SelfAttentionBlock(nn.Module):
    """A post-norm transformer block over each sentence's words, as `nn.TransformerEncoderLayer` computes it.

    Args:
        dim: of the words.
        heads: divides dim.
        feedforward: hidden units of the MLP.
        dropout: after the attention's softmax, both sublayers and the MLP's activation.
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
        kind = nn.LayerNorm if norm == "variance" else DeviationNorm
        self.attended_norm = kind(dim)
        self.norm = kind(dim)

    def forward(self, words: Tensor, places: Tensor, mask: Tensor) -> Tensor:
        """Let the words of each sentence see each other.

        Args:
            words: (n, d), the words of all sentences in a list.
            places: (n,) int64, where each is in the flattened mask.
            mask: (B, L) bool, the words that are there.

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
        seen = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=mask[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
        )
        listed = seen.transpose(1, 2).flatten(2).flatten(0, 1).index_select(0, places)
        attended: Tensor = self.attend_out(listed)
        return attended

    def _drop(self, values: Tensor) -> Tensor:
        return F.dropout(values, self.dropout, self.training)


class DeviationNorm(nn.Module):
    """QueryMatch's layer norm: (x - mean) / (standard deviation of the sample + 1e-6), scaled and shifted.

    Args:
        dim: of the last axis, over which it goes.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (..., dim)."""
        centred = values - values.mean(dim=-1, keepdim=True)
        return self.weight * centred / (values.std(dim=-1, keepdim=True) + 1e-6) + self.bias


class AttentivePooling(nn.Module):
    """Words -> one vector: a weight per word by an MLP and a softmax, their weighted sum, a linear layer.

    Args:
        dim: of the words and of the result.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(dim, dim // 2), nn.ReLU(), nn.Linear(dim // 2, 1))
        self.project = nn.Linear(dim, dim)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """Pool words (B, L, d) where mask (B, L) is True into (B, d)."""
        scores = self.score(words).squeeze(-1).masked_fill(~mask, float("-inf"))
        pooled: Tensor = self.project(torch.einsum("bl,bld->bd", scores.softmax(dim=-1), words))
        return pooled


def _spread(listed: Tensor, places: Tensor, mask: Tensor) -> Tensor:
    """A list of words (n, d) back to (B, L, d), zero at padding."""
    spread = listed.new_zeros(mask.numel(), listed.shape[1]).index_copy_(0, places, listed)
    return spread.view(*mask.shape, -1)
