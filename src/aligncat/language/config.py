"""Settings of the text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aligncat.errors import ConfigError

Norm = Literal["variance", "deviation"]
_MOST_BLOCKS = 100  # a grounder's config.json may come from a stranger, and each block takes time to make


@dataclass(frozen=True)
class TextEncoderConfig:
    """Settings of the text encoder. The defaults are those of the paper (section 5.2) and of QueryMatch.

    Attributes:
        encoder: "recurrent" (GRU and self-attention, trained from scratch), or a pretrained transformer: "minilm"
            (all-MiniLM-L6-v2, extra [text]), a local folder, or the name of a model on the Hugging Face hub. A
            transformer uses only the fields train_encoder, dim and max_length (which then counts word pieces).
        train_encoder: train the transformer too. Otherwise it is frozen, and only the linear layer and the pooling
            on top of it are trained.
        word_dim: dimension of the word vectors.
        dim: d_t, the dimension of F_w and f_t.
        blocks: number of self-attention blocks after the GRU, at most 100.
        heads: number of attention heads in each block; must divide dim.
        feedforward: hidden units in the MLP of each block.
        dropout: dropout rate of the blocks.
        norm: normalisation layer of the blocks. "variance": LayerNorm. "deviation": QueryMatch's own layer, which
            divides by the sample standard deviation (n - 1) plus 1e-6; needed for QueryMatch checkpoints.
        max_length: largest number of words read from an expression (15 for RefCOCO and RefCOCO+, 20 for RefCOCOg).
        freeze_vectors: do not train the word vectors. Intended for vectors from a file.
        vector_words: add this many words from the beginning of the word vector file to the vocabulary of the training
            split. An expression may then use words that do not occur in training. This needs frozen vectors:
            otherwise training would move the vectors of its own words away from all others.
        unknown_rate: probability of replacing a word with UNK in training. The vocabulary contains every training
            word, so nothing else trains the vector of UNK, and unknown words would be read as noise.
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
                raise ConfigError(f"text.{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.blocks <= _MOST_BLOCKS:
            raise ConfigError(f"text.blocks is {self.blocks}; it must be from 0 to {_MOST_BLOCKS}")
        if self.vector_words < 0:
            raise ConfigError(f"text.vector_words is {self.vector_words}; it must not be negative")
        for name in ("dropout", "unknown_rate"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ConfigError(f"text.{name} is {getattr(self, name)}; it must be in [0, 1)")
        if self.dim % self.heads:
            raise ConfigError(f"text.dim is {self.dim}; it must be a multiple of text.heads ({self.heads})")
        if self.train_encoder and self.recurrent:
            raise ConfigError(
                "text.train_encoder needs a transformer: set text.encoder to one, or leave text.train_encoder out"
            )
        if self.vector_words and not self.freeze_vectors:
            raise ConfigError("text.vector_words needs frozen word vectors: set text.freeze_vectors to true")

    @property
    def recurrent(self) -> bool:
        """Whether the encoder is the recurrent one, not a pretrained transformer."""
        return self.encoder == "recurrent"
