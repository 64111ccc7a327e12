"""The recurrent text encoder that QueryMatch and AlignCAT share: GRU, self-attention, attentive pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aligncat.errors import ConfigError
from aligncat.language.vocabulary import PAD, UNK


@dataclass(frozen=True, slots=True)
class TextEncoderConfig:
    """How expressions are read. The defaults are the paper's (section 5.2) and QueryMatch's.

    Attributes:
        word_dim: numbers in a word vector.
        dim: d_t, of F_w and of f_t.
        blocks: self-attention blocks after the GRU.
        heads: attention heads of a block; divides dim.
        feedforward: hidden units of a block's MLP.
        dropout: of the blocks, in training.
        max_length: words kept of an expression (15 for RefCOCO and RefCOCO+, 20 for RefCOCOg).
        freeze_vectors: keep the word vectors as they were given; meant for vectors from a file.
        unknown_rate: in training, the probability of reading a word as UNK. With a vocabulary of every
            training word nothing else would ever train UNK's vector, and an unknown word would then be noise.
    """

    word_dim: int = 300
    dim: int = 512
    blocks: int = 3
    heads: int = 8
    feedforward: int = 2048
    dropout: float = 0.1
    max_length: int = 15
    freeze_vectors: bool = False
    unknown_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("word_dim", "dim", "heads", "feedforward", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"text.{name} is {getattr(self, name)}; it has to be at least 1")
        if self.blocks < 0:
            raise ConfigError(f"text.blocks is {self.blocks}; it cannot be negative")
        for name in ("dropout", "unknown_rate"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"text.{name} is {getattr(self, name)}; it has to be in [0, 1)")
        if self.dim % self.heads:
            raise ConfigError(f"text.dim {self.dim} is not a multiple of text.heads {self.heads}")


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

    def __init__(
        self, config: TextEncoderConfig, vocabulary_size: int, vectors: Tensor | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(vocabulary_size, config.word_dim, padding_idx=PAD)
        if vectors is not None:
            self._set_vectors(vectors)
        self.embedding.weight.requires_grad_(not config.freeze_vectors)
        self.gru = nn.GRU(config.word_dim, config.dim, batch_first=True)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                config.dim, config.heads, config.feedforward, config.dropout, batch_first=True
            )
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
        # The GRU reads left to right, so padding at the end cannot reach a word.
        words, _ = self.gru(self.embedding(tokens))
        for block in self.blocks:
            words = block(words, src_key_padding_mask=~mask)
        words = words.masked_fill(~mask[..., None], 0.0)
        return EncodedText(sentences=self.pooling(words, mask), words=words, mask=mask)

    def _set_vectors(self, vectors: Tensor) -> None:
        if vectors.shape != self.embedding.weight.shape:
            raise ConfigError(
                f"the word vectors are {tuple(vectors.shape)} and (vocabulary, text.word_dim) is "
                f"{tuple(self.embedding.weight.shape)}; set text.word_dim to {vectors.shape[-1]}"
            )
        with torch.no_grad():
            self.embedding.weight.copy_(vectors)


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
