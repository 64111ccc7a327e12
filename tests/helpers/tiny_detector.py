"""A tiny Mask2Former with the real architecture and random weights, saved as a local folder."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

STAGES = ["stage1", "stage2", "stage3", "stage4"]


def save_tiny_detector(
    folder: Path, *, labels: tuple[str, ...] = ("cat", "dog", "cup", "tree", "bus"), seed: int = 0
) -> Path:
    """Write a 64 px detector with 8 queries, 32-d features and about 0.2 M parameters."""
    torch.manual_seed(seed)
    backbone = SwinConfig(  # type: ignore[call-arg]
        embed_dim=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4], window_size=4, out_features=STAGES
    )
    config = Mask2FormerConfig(  # type: ignore[call-arg]
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        num_queries=8,
        num_attention_heads=4,
        encoder_layers=1,
        decoder_layers=3,
        encoder_feedforward_dim=64,
        dim_feedforward=64,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        aligncat_image_size=64,
    )
    model = Mask2FormerForUniversalSegmentation(config)
    # Untrained class probabilities are nearly uniform, and an untrained LayerNorm does not change normalised input.
    # Change both, so that the ranks and the position of the feature before or after the norm matter.
    with torch.no_grad():
        model.class_predictor.weight.mul_(20)
        model.model.transformer_module.decoder.layernorm.weight.uniform_(0.5, 2.0)
    model.save_pretrained(folder)
    return folder
