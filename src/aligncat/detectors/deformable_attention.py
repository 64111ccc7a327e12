"""Multi-scale deformable attention as a weighted sum of rows, which is faster on a CPU than sampling of feature maps.

Each query reads a few points of each feature map (Zhu et al., Deformable DETR, ICLR 2021). A point lies between four
cells, so what a query and a head read is a weighted sum of cells: `embedding_bag` gathers and adds them in one pass.
transformers samples each map with `grid_sample` and adds up afterwards. The two differ by rounding alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# transformers' names, the same in all families that have them: of a module with as many points in each level, of a
# function with a number of points for each level, and of the attribute in which some modules keep that function.
_SAMPLER = "MultiScaleDeformableAttention"
_SAMPLE, _KEPT_SAMPLE = "multi_scale_deformable_attention_v2", "ms_deformable_attn_core"


def weighted_rows(
    values: Tensor, shapes: Sequence[tuple[int, int]], points: Tensor, weights: Tensor, counts: Sequence[int]
) -> Tensor:
    """Return what each query and head reads: the weighted sum of its points, interpolated bilinearly.

    Beyond the border of a map all values are 0, and half a cell beyond it they fade to 0, as in `grid_sample` with
    padding_mode "zeros" and without align_corners.

    Args:
        values: (B, S, heads, d), the values of all cells, level by level and row by row.
        shapes: (rows, columns) of each level; S cells in all.
        points: (B, Q, heads, P, 2), x and y of the points, level by level, in cells of their level, where the centre of
            the first cell is 0.
        weights: (B, Q, heads, P), the attention.
        counts: the number of points in each level, P in all.

    Returns:
        (B, Q, heads · d).
    """
    batch, cells, heads, dim = values.shape
    device = values.device
    places, start = [], 0
    for (height, width), count in zip(shapes, counts, strict=True):
        places += [(height, width, start)] * count
        start += height * width
    rows, columns, starts = torch.tensor(places, dtype=torch.int32, device=device).unbind(1)  # (P,) each
    left, near_x, far_x = _pair(points[..., 0], columns)
    top, near_y, far_y = _pair(points[..., 1], rows)

    # The row of `values.flatten(0, 2)` that holds the upper left cell.
    images = torch.arange(batch, dtype=torch.int32, device=device)[:, None, None, None] * cells
    head = torch.arange(heads, dtype=torch.int32, device=device)[:, None]
    first = ((top * columns + left).add_(starts).add_(images)).mul_(heads).add_(head)
    right, down = _step(columns) * heads, _step(rows) * columns * heads
    near_y, far_y = near_y.mul_(weights), far_y.mul_(weights)
    corners = torch.stack([first, first + right, first + down, first + (right + down)], dim=3)
    shares = torch.stack([near_y * near_x, near_y * far_x, far_y * near_x, far_y * far_x], dim=3)
    length = 4 * len(places)
    read = F.embedding_bag(
        corners.view(-1, length),
        values.reshape(-1, dim),
        per_sample_weights=shares.view(-1, length).to(values.dtype),  # in autocast, the attention stays in float32
        mode="sum",
    )
    return read.view(batch, points.shape[1], heads * dim)


def _pair(places: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the first of two neighbouring cells along an axis, and the weights of both, for places between them.

    The cells are the two around the place, or the two nearest ones in the map. The weight of a cell falls from 1 at its
    centre to 0 at a distance of one cell, so it is 0 for a place that is far outside, and also if it is not finite.

    Args:
        places: (..., P), in cells.
        size: (P,) int32, the number of cells of the level of each.
    """
    first = places.int()  # rounded towards 0: what is below 0 becomes 0 next
    first = torch.minimum(first.clamp_(min=0), (size - 2).clamp(min=0))
    beyond = places - first
    near = (1 - beyond.abs()).relu_()
    far = (1 - (beyond - 1).abs_()).relu_() * _step(size)
    return first, near, far


def _step(size: Tensor) -> Tensor:
    """Return how far the second of two cells is from the first: 0 on an axis of one cell, which has no second."""
    return (size > 1).int()


class WeightedRows(nn.Module):
    """transformers' `MultiScaleDeformableAttention`, computed with `weighted_rows`. It has no weights of its own."""

    def forward(  # noqa: PLR0917  (transformers calls it by position)
        self,
        value: Tensor,
        value_spatial_shapes: Tensor,
        value_spatial_shapes_list: Sequence[tuple[int, int]],
        level_start_index: Tensor,
        sampling_locations: Tensor,
        attention_weights: Tensor,
        im2col_step: int,
    ) -> Tensor:
        """Return what each query and head reads, (B, Q, heads · d).

        Args:
            value: (B, S, heads, d), the values of all cells.
            value_spatial_shapes: not used.
            value_spatial_shapes_list: (rows, columns) of each level.
            level_start_index: not used.
            sampling_locations: (B, Q, heads, levels, P, 2), x and y in shares of the level's size.
            attention_weights: (B, Q, heads, levels, P).
            im2col_step: not used.
        """
        counts = [sampling_locations.shape[4]] * sampling_locations.shape[3]
        locations, weights = sampling_locations.flatten(3, 4), attention_weights.flatten(3)
        return _weighted_shares(value, value_spatial_shapes_list, locations, weights, counts)


def _weighted_shares(
    value: Tensor,
    value_spatial_shapes: Sequence[tuple[int, int]],
    sampling_locations: Tensor,
    attention_weights: Tensor,
    num_points_list: Sequence[int],
    method: str = "default",
) -> Tensor:
    """Return what each query and head reads, (B, Q, heads · d): transformers' function _SAMPLE.

    Args:
        value: (B, S, heads, d), the values of all cells.
        value_spatial_shapes: (rows, columns) of each level.
        sampling_locations: (B, Q, heads, P, 2), x and y in shares of the level's size.
        attention_weights: (B, Q, heads, P).
        num_points_list: the number of points in each level, P in all.
        method: not used; modules that do not interpolate keep their own function.
    """
    sizes = [(width, height) for height, width in value_spatial_shapes]
    of_points = [size for size, count in zip(sizes, num_points_list, strict=True) for _ in range(count)]
    points = sampling_locations * sampling_locations.new_tensor(of_points) - 0.5
    return weighted_rows(value, value_spatial_shapes, points, attention_weights, num_points_list)


def use_weighted_rows(model: Any) -> None:
    """Replace the deformable attention in a model of transformers, in this object alone.

    Nothing happens if the model is not on a CPU or has no such attention.

    Args:
        model: a model for inference, on its device.
    """
    if model.device.type != "cpu":
        return
    for module in model.modules():
        for name, part in module.named_children():
            if type(part).__name__ == _SAMPLER:
                setattr(module, name, WeightedRows())
        kept = getattr(getattr(module, _KEPT_SAMPLE, None), "__name__", None)
        if kept == _SAMPLE and module.decoder_method == "default":  # which interpolates
            setattr(module, _KEPT_SAMPLE, _weighted_shares)
