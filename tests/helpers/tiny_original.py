"""Tiny original Mask2Former checkpoints with random weights, and reference results for an image."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from aligncat.checkpoints.mask2former.architectures import Architecture, ResNet, Swin
from helpers.original_mask2former import Weights, decoder, pixel_decoder, resnet, swin

QUERIES, CLASSES = 7, 5
SIZES = {
    "hidden": 64,  # two channels in each of the group norms' 32 groups
    "heads": 4,
    "encoder_layers": 2,
    "encoder_feedforward": 48,
    "decoder_layers": 4,
    "feedforward": 40,
}
TINY = {
    # Windows of 4 on maps of 18 x 22, 9 x 11, 5 x 6 and 3 x 3: every stage is padded, and two have shifted windows.
    "swin": Architecture(Swin(12, (2, 1, 2, 1), (1, 2, 2, 4), window=4), **SIZES),
    "resnet": Architecture(ResNet((2, 1, 2, 1), stem=8, widths=(16, 24, 32, 48)), **SIZES),
}


class Original(NamedTuple):
    """A checkpoint's state, an image, and the reference results for the image."""

    architecture: Architecture
    state: dict[str, Tensor]
    image: Tensor
    features: Tensor
    class_logits: Tensor
    mask_logits: Tensor


def original(backbone: str, seed: int = 0, index: Tensor | None = None) -> Original:
    """Run the reference implementation with random weights on a random image of 72 x 88.

    `index` is the `relative_position_index` of every attention block of Swin, if the checkpoint has one.
    """
    architecture = TINY[backbone]
    generator = torch.Generator().manual_seed(seed)
    weights = Weights(generator)
    image = torch.randn(1, 3, 72, 88, generator=generator)
    kind = architecture.backbone
    if index is not None and isinstance(kind, Swin):
        for stage, depth in enumerate(kind.depths):
            for block in range(depth):
                weights.state[f"backbone.layers.{stage}.blocks.{block}.attn.relative_position_index"] = index
    if isinstance(kind, Swin):
        maps = swin(weights, image, kind.embed, kind.depths, kind.heads, kind.window)
    else:
        maps = resnet(weights, image, kind.depths, kind.stem, kind.widths)
    levels, mask_features = pixel_decoder(
        weights,
        maps,
        architecture.hidden,
        architecture.encoder_layers,
        architecture.encoder_feedforward,
        architecture.heads,
    )
    results = decoder(
        weights,
        levels,
        [(level.shape[2], level.shape[3]) for level in maps[:0:-1]],
        mask_features,
        QUERIES,
        CLASSES,
        architecture.decoder_layers,
        architecture.feedforward,
        architecture.heads,
    )
    return Original(architecture, weights.state, image, *results)
