"""A tiny model of every family of transformers, with random weights, saved as a local folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from aligncat.detectors.families import transformers_family
from aligncat.detectors.pretrained_model import submodule

SIZE = 64
QUERIES = 8
MODELS: dict[str, tuple[str, str]] = {
    "maskformer": ("maskformer", "MaskFormerForInstanceSegmentation"),
    "eomt": ("eomt", "EomtForUniversalSegmentation"),
    "eomt_dinov3": ("eomt_dinov3", "EomtDinov3ForUniversalSegmentation"),
    "detr-masks": ("detr", "DetrForSegmentation"),
    "detr": ("detr", "DetrForObjectDetection"),
    "conditional_detr-masks": ("conditional_detr", "ConditionalDetrForSegmentation"),
    "conditional_detr": ("conditional_detr", "ConditionalDetrForObjectDetection"),
    "rf_detr-masks": ("rf_detr", "RfDetrForInstanceSegmentation"),
    "rf_detr": ("rf_detr", "RfDetrForObjectDetection"),
    "rt_detr": ("rt_detr", "RTDetrForObjectDetection"),
    "rt_detr_v2": ("rt_detr_v2", "RTDetrV2ForObjectDetection"),
    "d_fine": ("d_fine", "DFineForObjectDetection"),
    "deimv2": ("deimv2", "Deimv2ForObjectDetection"),
    "deformable_detr": ("deformable_detr", "DeformableDetrForObjectDetection"),
    "lw_detr": ("lw_detr", "LwDetrForObjectDetection"),
}
"""By name: the family and the model class. All are tested."""
LABELS = ("cat", "dog", "cup", "tree", "bus")

_RT_DETR: dict[str, Any] = {
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [8, 16, 16],
    "decoder_in_channels": [32, 32, 32],
    "feat_strides": [8, 16, 32],
    "encoder_layers": 1,
    "encoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "d_model": 32,
    "num_queries": QUERIES,
    "decoder_layers": 2,
    "decoder_ffn_dim": 32,
    "decoder_attention_heads": 2,
    "num_denoising": 0,
}
"""What the configs of RT-DETR, D-FINE and DEIMv2 share."""
_LW_DETR: dict[str, Any] = {
    "projector_scale_factors": [1.0],
    "hidden_expansion": 0.5,
    "c2f_num_blocks": 1,
    "d_model": 32,
    "decoder_ffn_dim": 32,
    "decoder_n_points": 2,
    "decoder_layers": 2,
    "decoder_self_attention_heads": 2,
    "decoder_cross_attention_heads": 4,
    "num_queries": QUERIES,
    "group_detr": 2,
}
"""What the configs of LW-DETR and RF-DETR share."""


def save_tiny(name: str, folder: Path, labels: Sequence[str] = LABELS, *, class_bias: float = 0.0) -> Path:
    """Write a 64 px detector with 8 queries and random weights that make ranks matter.

    Args:
        name: a key of MODELS.
        folder: the folder to write.
        labels: the names of its classes.
        class_bias: is added to all class logits: below 0, a detector whose probabilities are sigmoids is less sure.
    """
    family, model_class = MODELS[name]
    torch.manual_seed(0)
    config = _CONFIGS[family]()
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    model = getattr(transformers, model_class)(config)
    row = transformers_family(family)
    assert row is not None
    [of_class] = [each for each in row.models if each.name == model_class]
    # Untrained queries, class probabilities and boxes are nearly alike, and an untrained LayerNorm does not change
    # normalised input. Change all, so that ranks and the place of the feature matter.
    with torch.no_grad():
        for part_name, part in model.named_modules():
            if isinstance(part, nn.Embedding):
                part.weight.normal_(std=2.0)
            elif isinstance(part, nn.LayerNorm) and "backbone" not in part_name:
                part.weight.uniform_(0.5, 2.0)
            elif isinstance(part, nn.Linear) and "bbox" in part_name:
                part.weight.normal_(std=0.05)
        head = submodule(model, of_class.head)
        head.weight.normal_(std=0.5)
        head.bias += class_bias
    model.save_pretrained(folder)
    plain = {"do_normalize": row.normalised, "size": {"height": SIZE, "width": SIZE}, "image_mean": [0.4, 0.5, 0.6]}
    (folder / "preprocessor_config.json").write_text(json.dumps(plain))
    return folder


def config_of(name: str, **settings: Any) -> Any:
    """Return a config of transformers, whose annotations lack settings that it takes."""
    return getattr(transformers, name)(**settings)


def _resnet(stages: Sequence[str] = ("stage2", "stage3", "stage4")) -> Any:
    return config_of(
        "ResNetConfig",
        embedding_size=8,
        hidden_sizes=[8, 8, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=[*stages],
    )


def _detr(kind: str) -> Callable[[], Any]:
    def make() -> Any:
        return config_of(
            kind,
            backbone_config=_resnet(("stage1", "stage2", "stage3", "stage4")),
            use_timm_backbone=False,
            num_queries=QUERIES,
            d_model=32,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=8,
            decoder_attention_heads=8,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
        )

    return make


def _maskformer() -> Any:
    return config_of(
        "MaskFormerConfig",
        backbone_config=config_of(
            "SwinConfig",
            embed_dim=12,
            depths=[1, 1, 1, 1],
            num_heads=[1, 2, 2, 4],
            window_size=4,
            out_features=["stage1", "stage2", "stage3", "stage4"],
        ),
        decoder_config=config_of(
            "DetrConfig",
            num_queries=QUERIES,
            d_model=32,
            decoder_layers=2,
            decoder_attention_heads=4,
            decoder_ffn_dim=32,
            encoder_layers=0,
        ),
        fpn_feature_size=32,
        mask_feature_size=32,
    )


def _eomt(kind: str) -> Callable[[], Any]:
    def make() -> Any:
        return config_of(
            kind,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            intermediate_size=64,
            image_size=SIZE,
            patch_size=16,
            num_queries=QUERIES,
            num_blocks=2,
            num_upscale_blocks=2,
            num_register_tokens=1,
        )

    return make


def _rt_detr(kind: str) -> Callable[[], Any]:
    def make() -> Any:
        return config_of(
            kind,
            backbone_config=config_of(
                "RTDetrResNetConfig",
                embedding_size=8,
                hidden_sizes=[8, 8, 16, 16],
                depths=[1, 1, 1, 1],
                layer_type="basic",
                out_features=["stage2", "stage3", "stage4"],
            ),
            decoder_n_points=2,
            **_RT_DETR,
        )

    return make


def _fine(kind: str) -> Callable[[], Any]:
    def make() -> Any:
        return config_of(
            kind,
            backbone_config=config_of(
                "HGNetV2Config",
                embedding_size=8,
                hidden_sizes=[8, 8, 16, 16],
                depths=[1, 1, 1, 1],
                stem_channels=[3, 4, 8],
                stage_in_channels=[8, 8, 8, 16],
                stage_mid_channels=[4, 4, 8, 8],
                stage_out_channels=[8, 8, 16, 16],
                stage_num_blocks=[1, 1, 1, 1],
                stage_downsample=[False, True, True, True],
                stage_light_block=[False, False, True, True],
                stage_kernel_size=[3, 3, 3, 3],
                stage_numb_of_layers=[1, 1, 1, 1],
                out_features=["stage2", "stage3", "stage4"],
            ),
            decoder_n_points=[2, 2, 2],
            **_RT_DETR,
        )

    return make


def _deformable_detr() -> Any:
    return config_of(
        "DeformableDetrConfig",
        backbone_config=_resnet(),
        use_timm_backbone=False,
        num_queries=QUERIES,
        d_model=64,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
    )


def _lw_detr() -> Any:
    return config_of(
        "LwDetrConfig",
        backbone_config=config_of(
            "LwDetrViTConfig",
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            mlp_ratio=2,
            image_size=SIZE,
            pretrain_image_size=SIZE,
            patch_size=16,
            num_windows=4,
            window_block_indices=[0],
            out_indices=[1, 2],
        ),
        **_LW_DETR,
    )


def _rf_detr() -> Any:
    return config_of(
        "RfDetrConfig",
        backbone_config={
            "model_type": "rf_detr_dinov2",
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "mlp_ratio": 2,
            "image_size": SIZE,
            "patch_size": 16,
            "num_windows": 2,
            "out_indices": [1, 2],
        },
        **_LW_DETR,
    )


_CONFIGS: dict[str, Callable[[], Any]] = {
    "maskformer": _maskformer,
    "eomt": _eomt("EomtConfig"),
    "eomt_dinov3": _eomt("EomtDinov3Config"),
    "detr": _detr("DetrConfig"),
    "conditional_detr": _detr("ConditionalDetrConfig"),
    "rf_detr": _rf_detr,
    "rt_detr": _rt_detr("RTDetrConfig"),
    "rt_detr_v2": _rt_detr("RTDetrV2Config"),
    "d_fine": _fine("DFineConfig"),
    "deimv2": _fine("Deimv2Config"),
    "deformable_detr": _deformable_detr,
    "lw_detr": _lw_detr,
}
