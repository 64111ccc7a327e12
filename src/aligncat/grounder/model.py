"""The trainable model: text encoder and alignment."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from aligncat.alignment.config import AlignmentConfig, Sizes
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

    def forward(  # noqa: PLR0917 - one argument for each input of the model
        self,
        features: Tensor,
        categories: Tensor,
        valid: Tensor,
        tokens: Tensor,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        confidences: Tensor | None = None,
        *,
        second_labels: Tensor | None = None,
        order_labels: Tensor | None = None,
        text_dtype: torch.dtype = torch.float32,
    ) -> Alignment:
        """Align B expressions with the candidates of their images.

        Args:
            features: (B, O, feature_dim), f_q and the further columns.
            categories: (B, O) int64, c^V.
            valid: (B, O) bool, False for padding.
            tokens: (B, L) int64, padded with PAD.
            labels: (B,) int64, c*, or -1 where unknown; used in training only.
            boxes: (B, O, 4), the candidates' boxes in shares of the photo, xyxy; required if the alignment's `context`
                is "relations".
            confidences: (B, O), the detector's confidences, highest first; required as the boxes are.
            second_labels: (B,) int64, the category of the second object that an expression names, -1 for none; used in
                training only.
            order_labels: (B,) int64, the place in an order that an expression gives its object
                (`aligncat.alignment.orders.order_index`), -1 for none; used in training only.
            text_dtype: float32, or bfloat16 for the text encoder's matrix products. All scores are float32.
        """
        with torch.autocast(tokens.device.type, text_dtype, enabled=text_dtype != torch.float32):
            encoded = self.text(tokens)
        alignment: Alignment = self.alignment(
            features,
            categories,
            valid,
            encoded.sentences.float(),
            encoded.words.float(),
            encoded.mask,
            labels,
            boxes,
            confidences,
            second_labels,
            order_labels,
        )
        return alignment
