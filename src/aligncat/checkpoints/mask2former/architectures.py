"""The architectures of the original Mask2Former release, and their transformers configs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import Mask2FormerConfig

ArchitectureName = Literal["swin-tiny", "swin-small", "swin-base", "swin-large", "r50", "r101"]
LEVELS = 3  # feature levels of the deformable encoder and of the decoder
POINTS = 4  # sampling points per head and level of deformable attention
_STAGES = ["stage1", "stage2", "stage3", "stage4"]


@dataclass(frozen=True)
class Swin:
    """The sizes of a Swin transformer (Liu et al., ICCV 2021).

    Attributes:
        embed: channels of the first stage. Each further stage has twice as many.
        depths: number of blocks per stage.
        heads: number of attention heads per stage.
        window: side of the attention window, in patches.
    """

    embed: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels per stage."""
        return tuple(self.embed * 2**stage for stage in range(4))


@dataclass(frozen=True)
class ResNet:
    """The sizes of a ResNet with bottleneck blocks, as detectron2 builds it for Mask2Former.

    The 3 x 3 convolutions have the stride.

    Attributes:
        depths: number of blocks per stage.
        stem: channels of the stem.
        widths: output channels per stage, four times the channels inside its blocks.
    """

    depths: tuple[int, int, int, int]
    stem: int = 64
    widths: tuple[int, int, int, int] = (256, 512, 1024, 2048)

    @property
    def channels(self) -> tuple[int, ...]:
        """Output channels per stage."""
        return self.widths


@dataclass(frozen=True)
class Architecture:
    """The sizes of a Mask2Former. The numbers of queries and classes come from the checkpoint itself.

    Attributes:
        backbone: the sizes of the backbone.
        hidden: channels of the pixel decoder, the transformer decoder and the mask features.
        heads: attention heads of both decoders.
        encoder_layers: deformable attention layers of the pixel decoder.
        encoder_feedforward: hidden units of the MLPs in those layers.
        decoder_layers: layers of the transformer decoder.
        feedforward: hidden units of the MLPs in those layers.
    """

    backbone: Swin | ResNet
    hidden: int = 256
    heads: int = 8
    encoder_layers: int = 6
    encoder_feedforward: int = 1024
    decoder_layers: int = 9
    feedforward: int = 2048


ARCHITECTURES: dict[ArchitectureName, Architecture] = {
    "swin-tiny": Architecture(Swin(96, (2, 2, 6, 2), (3, 6, 12, 24), window=7)),
    "swin-small": Architecture(Swin(96, (2, 2, 18, 2), (3, 6, 12, 24), window=7)),
    "swin-base": Architecture(Swin(128, (2, 2, 18, 2), (4, 8, 16, 32), window=12)),
    "swin-large": Architecture(Swin(192, (2, 2, 18, 2), (6, 12, 24, 48), window=12)),
    "r50": Architecture(ResNet((3, 4, 6, 3))),
    "r101": Architecture(ResNet((3, 4, 23, 3))),
}
"""The models of Mask2Former's COCO instance segmentation configs, by name."""


def transformers_config(architecture: Architecture, queries: int, labels: Sequence[str]) -> Mask2FormerConfig:
    """Return the config with which transformers builds the same model.

    Args:
        architecture: the checkpoint's architecture.
        queries: N, the number of queries.
        labels: the category names, by class index.
    """
    from transformers import Mask2FormerConfig

    from aligncat.loading import model_loading

    with model_loading():
        return Mask2FormerConfig(
            backbone_config=_backbone_config(architecture.backbone),
            feature_size=architecture.hidden,
            mask_feature_size=architecture.hidden,
            hidden_dim=architecture.hidden,
            num_attention_heads=architecture.heads,
            encoder_layers=architecture.encoder_layers,
            encoder_feedforward_dim=architecture.encoder_feedforward,
            decoder_layers=architecture.decoder_layers
            + 1,  # transformers also counts the prediction before the first layer
            dim_feedforward=architecture.feedforward,
            num_queries=queries,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            architectures=["Mask2FormerForUniversalSegmentation"],
            dtype="float32",
        )


def _backbone_config(backbone: Swin | ResNet) -> Any:
    import transformers

    configs: Any = transformers  # the constructors' annotations omit `out_features`
    if isinstance(backbone, Swin):
        return configs.SwinConfig(
            embed_dim=backbone.embed,
            depths=list(backbone.depths),
            num_heads=list(backbone.heads),
            window_size=backbone.window,
            out_features=_STAGES,
        )
    return configs.ResNetConfig(
        embedding_size=backbone.stem,
        hidden_sizes=list(backbone.widths),
        depths=list(backbone.depths),
        layer_type="bottleneck",
        out_features=_STAGES,
    )
