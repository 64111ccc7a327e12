"""Settings of the text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aligncat.errors import ConfigError

Norm = Literal["variance", "deviation"]


@dataclass(frozen=True)
class TextEncoderConfig:
    """How expressions are read. The defaults are the paper's (section 5.2) and QueryMatch's.

    Attributes:
        encoder: what reads: "recurrent" (GRU and self-attention, learned here), or a transformer of somebody's, by
            the name "minilm" (all-MiniLM-L6-v2, extra [text]), a local folder, or a name on the hub. Of the fields
            below, a transformer heeds train_encoder, dim and max_length, which then counts word pieces.
        train_encoder: train the transformer too. Otherwise it is frozen, and only a linear layer and the pooling
            above it learn.
        word_dim: numbers in a word vector.
        dim: d_t, of F_w and of f_t.
        blocks: self-attention blocks after the GRU.
        heads: attention heads of a block; divides dim.
        feedforward: hidden units of a block's MLP.
        dropout: of the blocks, in training.
        norm: of the blocks. "variance": LayerNorm. "deviation": what QueryMatch's code has in its place, which divides
            by the standard deviation of the sample (n - 1) plus 1e-6; for checkpoints of it.
        max_length: words kept of an expression (15 for RefCOCO and RefCOCO+, 20 for RefCOCOg).
        freeze_vectors: keep the word vectors as they were given; meant for vectors from a file.
        vector_words: how many words of the file of word vectors, counted from its beginning, the vocabulary has beside
            those of the training split. A word that training never saw is then read by its vector and not as UNK;
            the vectors have to be frozen, or the trained ones would move away from the rest.
        unknown_rate: in training, the probability of reading a word as UNK. With a vocabulary of every
            training word nothing else would ever train UNK's vector, and an unknown word would then be noise.
    """

    encoder: str = "recurrent"
    train_encoder: bool = False
    word_dim: int = 300
    dim: int = 512
    blocks: int = 3
    heads: int = 8
    feedforward: int = 2048
    dropout: float = 0.1
    norm: Norm = "variance"
    max_length: int = 15
    freeze_vectors: bool = False
    vector_words: int = 0
    unknown_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("word_dim", "dim", "heads", "feedforward", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"text.{name} is {getattr(self, name)}; it has to be at least 1")
        for name in ("blocks", "vector_words"):
            if getattr(self, name) < 0:
                raise ConfigError(f"text.{name} is {getattr(self, name)}; it cannot be negative")
        for name in ("dropout", "unknown_rate"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"text.{name} is {getattr(self, name)}; it has to be in [0, 1)")
        if self.dim % self.heads:
            raise ConfigError(f"text.dim {self.dim} is not a multiple of text.heads {self.heads}")
        if self.train_encoder and self.recurrent:
            raise ConfigError("text.train_encoder is for a transformer: name one in text.encoder, or leave it out")
        if self.vector_words and not self.freeze_vectors:
            raise ConfigError("text.vector_words needs text.freeze_vectors: words never trained would be left behind")

    @property
    def recurrent(self) -> bool:
        """Whether the encoder is learned here, from words."""
        return self.encoder == "recurrent"
