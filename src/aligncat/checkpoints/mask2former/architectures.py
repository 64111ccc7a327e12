"""The architectures of the original Mask2Former release, and what transformers calls them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from transformers import Mask2FormerConfig

ArchitectureName = Literal["swin-tiny", "swin-small", "swin-base", "swin-large", "r50", "r101"]
LEVELS = 3  # feature levels of the deformable encoder and of the decoder
POINTS = 4  # sampling points of a head on a level
_STAGES = ["stage1", "stage2", "stage3", "stage4"]


@dataclass(frozen=True)
class Swin:
    """A Swin transformer (Liu et al., ICCV 2021).

    Attributes:
        embed: channels of the first stage; each stage doubles them.
        depths: blocks of each stage.
        heads: attention heads of each stage.
        window: side of the attention window, in patches.
    """

    embed: int
    depths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    window: int

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels that each stage gives out."""
        return tuple(self.embed * 2**stage for stage in range(4))


@dataclass(frozen=True)
class ResNet:
    """A ResNet of bottleneck blocks as detectron2 builds it for Mask2Former: stride in the 3 x 3 convolution.

    Attributes:
        depths: blocks of each stage.
        stem: channels of the stem.
        widths: channels that each stage gives out, four times those inside its blocks.
    """

    depths: tuple[int, int, int, int]
    stem: int = 64
    widths: tuple[int, int, int, int] = (256, 512, 1024, 2048)

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels that each stage gives out."""
        return self.widths


@dataclass(frozen=True)
class Architecture:
    """What the weights of a checkpoint are weights of. Queries and classes are read off the checkpoint itself.

    Attributes:
        backbone: what reads the image.
        hidden: channels of the pixel decoder, the transformer decoder and the mask features.
        heads: attention heads of both.
        encoder_layers: deformable attention layers of the pixel decoder.
        encoder_feedforward: hidden units of their MLPs.
        decoder_layers: layers of the transformer decoder.
        feedforward: hidden units of their MLPs.
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
"""The models of Mask2Former's COCO instance segmentation configs."""


def transformers_config(architecture: Architecture, queries: int, labels: Sequence[str]) -> Mask2FormerConfig:
    """The config with which transformers builds the same model.

    Args:
        architecture: of the checkpoint.
        queries: N, of the checkpoint.
        labels: the category names, by contiguous index.
    """
    from transformers import Mask2FormerConfig

    from aligncat.quiet import quiet_loading

    with quiet_loading():
        return Mask2FormerConfig(
            backbone_config=_backbone_config(architecture.backbone),
            feature_size=architecture.hidden,
            mask_feature_size=architecture.hidden,
            hidden_dim=architecture.hidden,
            num_attention_heads=architecture.heads,
            encoder_layers=architecture.encoder_layers,
            encoder_feedforward_dim=architecture.encoder_feedforward,
            decoder_layers=architecture.decoder_layers + 1,  # transformers counts the prediction before the first
            dim_feedforward=architecture.feedforward,
            num_queries=queries,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
            architectures=["Mask2FormerForUniversalSegmentation"],
            dtype="float32",
        )


def _backbone_config(backbone: Swin | ResNet) -> Any:
    import transformers

    configs: Any = transformers  # the constructors' types leave out `out_features`
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
