"""Mask2Formers of the sizes of COCO's checkpoints, with random weights, and the forward pass of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

from aligncat.detectors.candidates import RawOutput
from aligncat.types import ImageRecord

BACKBONES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "swin-tiny": {"embed_dim": 96, "depths": [2, 2, 6, 2], "num_heads": [3, 6, 12, 24], "window_size": 7},
        "swin-base": {"embed_dim": 128, "depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32], "window_size": 12},
    }
)
"""The settings of `SwinConfig`, by name."""
_PHOTOS = {".jpg", ".jpeg", ".png", ".webp"}


def random_mask2former(backbone: Mapping[str, Any], **settings: Any) -> Any:
    """Return a Mask2Former with random weights, for inference: 100 queries and 80 classes unless the settings differ.

    Its masks are noise, which is the worst case for boxes and run lengths.
    """
    torch.manual_seed(0)
    swin = SwinConfig(**{**backbone, "out_features": ["stage1", "stage2", "stage3", "stage4"]})
    config = Mask2FormerConfig(backbone_config=swin, **{"num_queries": 100, "num_labels": 80, **settings})
    return Mask2FormerForUniversalSegmentation(config).eval().requires_grad_(False)  # type: ignore[no-untyped-call]


def save_detector(folder: Path, backbone: str = "swin-tiny") -> Path:
    """Write a detector of real size to a folder."""
    random_mask2former(BACKBONES[backbone]).save_pretrained(folder)
    return folder


def pass_of_transformers(model: Any, pixels: NDArray[np.float32]) -> RawOutput:
    """Run the forward pass of transformers on a Mask2Former."""
    with torch.inference_mode():
        output = model(pixel_values=torch.from_numpy(pixels))
        features = model.model.transformer_module.decoder.layernorm(output.transformer_decoder_last_hidden_state)
        parts = (output.class_queries_logits, output.masks_queries_logits, features)
        return RawOutput(*(part.numpy() for part in parts))


def photos_of(folder: Path, count: int | None = None) -> list[ImageRecord]:
    """Return the first photos of a folder, by name; exit with a message if there is none."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PHOTOS)[:count]
    if not paths:
        raise SystemExit(f"{folder}: no photo in this folder (suffixes: {', '.join(sorted(_PHOTOS))})")
    return [ImageRecord(path.stem, path) for path in paths]
