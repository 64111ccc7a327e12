"""Features of a detector's own levels, pooled under a query's mask: the column `levels`.

A query feature keeps what the detector needs for its categories. The first stages of the backbone, and the pixel
decoder's map from which masks are made, also hold colour, texture and shape. Of each level the mean under the mask is
taken, normalised over its channels, and projected to a few numbers with a fixed random matrix, which keeps distances
(Johnson and Lindenstrauss). Nothing is fitted to data, so the column needs no statistics of a training set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aligncat.types import FeatureColumn

if TYPE_CHECKING:
    from torch import Tensor

STAGES = 3
"""The number of the backbone's first stages that are read. The last one is what the query feature is made from."""
_KEPT = 16  # numbers per level
LEVELS = FeatureColumn("levels", version=1, dim=_KEPT * (STAGES + 1))
"""The column of `pooled_levels` for the first stages and the pixel decoder's map. Another way is another version."""


def pooled_levels(levels: Sequence[Tensor], mask_logits: Tensor) -> Tensor:
    """Return the projected means of feature maps under the masks of queries.

    Args:
        levels: feature maps over the square, (B, C, h, w) each, of any numbers of channels and sizes.
        mask_logits: (B, N, h, w), on a grid over the square that is at least as fine as the maps.

    Returns:
        (B, N, 16 · the number of levels) float32, with values of the order of 1; 0 for a query whose mask is empty.
    """
    import torch
    import torch.nn.functional as F

    inside = (mask_logits > 0).float()
    parts = []
    for number, level in enumerate(levels):
        weights = F.adaptive_avg_pool2d(inside, (level.shape[2], level.shape[3])).flatten(2)
        weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-6)
        means = weights @ level.float().flatten(2).transpose(1, 2)
        channels = means.shape[-1]
        parts.append(F.layer_norm(means, (channels,)) @ _projection(channels, number).to(means.device))
    return torch.cat(parts, dim=-1)


def _projection(channels: int, number: int) -> Tensor:
    """Return the matrix of a level, (channels, 16): random signs over the square root of the number of channels."""
    import torch

    # numpy promises that the numbers of this old generator never change.
    signs = np.random.RandomState(number).randint(0, 2, (channels, _KEPT)) * 2 - 1
    return torch.from_numpy(signs / channels**0.5).float()
