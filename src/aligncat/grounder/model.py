"""The trainable model: text encoder and alignment."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from aligncat.alignment.config import AlignmentConfig, Sizes
from aligncat.alignment.inputs import ImageTensors, Labels
from aligncat.alignment.model import AlignmentModel
from aligncat.alignment.result import Alignment
from aligncat.language.config import TextEncoderConfig
from aligncat.language.encoder import TextEncoder
from aligncat.language.pretrained import PretrainedText
from aligncat.language.transformer import TransformerTextEncoder


@dataclass(frozen=True)
class ModelConfig:
    """The settings of a grounding model.

    Attributes:
        alignment: which scores choose the candidate, and how they are learned.
        text: the text encoder.
    """

    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    text: TextEncoderConfig = field(default_factory=TextEncoderConfig)


class GroundingModel(nn.Module):
    """A model that aligns expressions (token ids) with candidates.

    Args:
        config: the settings.
        words: the size of the vocabulary, with special symbols.
        feature_dim: the length of a candidate's feature: d_v, and that of the further columns if there are any.
        classes: C, the number of the detector's categories.
        vectors: (words, word_dim) initial word vectors, or None for random ones.
        pretrained: the transformer that `config.text.encoder` names, or None for the recurrent encoder.

    Raises:
        ConfigError: the settings and sizes do not fit together.
    """

    def __init__(
        self,
        config: ModelConfig,
        words: int,
        *,
        feature_dim: int,
        classes: int,
        vectors: Tensor | None = None,
        pretrained: PretrainedText | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.text: TextEncoder | TransformerTextEncoder
        if pretrained is None:
            self.text = TextEncoder(config.text, words, vectors)
        else:
            self.text = TransformerTextEncoder(config.text, pretrained)
        sizes = Sizes(visual_dim=feature_dim, text_dim=config.text.dim, classes=classes)
        self.alignment = AlignmentModel(config.alignment, sizes)

    def forward(
        self,
        images: ImageTensors,
        tokens: Tensor,
        labels: Labels | None = None,
        *,
        text_dtype: torch.dtype = torch.float32,
    ) -> Alignment:
        """Align B expressions with the candidates of their images.

        Args:
            images: the candidates of their images.
            tokens: (B, L) int64, padded with PAD.
            labels: what the expressions mean; used in training only.
            text_dtype: float32, or bfloat16 for the text encoder's matrix products. All scores are float32.
        """
        with torch.autocast(tokens.device.type, text_dtype, enabled=text_dtype != torch.float32):
            encoded = self.text(tokens)
        alignment: Alignment = self.alignment(
            images, encoded.sentences.float(), encoded.words.float(), encoded.mask, labels
        )
        return alignment
