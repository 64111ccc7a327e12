"""The forward pass of Mask2Former for inference, over the modules of transformers.

It gives what transformers' own forward gives, within the rounding of float32, with less work on a CPU:

- On a CPU, deformable attention is a weighted sum of rows (`aligncat.detectors.deformable_attention`).
- Each decoder layer masks its attention with the mask logits of the layer before, at the size of one feature map.
  transformers computes the logits at a quarter of the input's size and shrinks them. Both steps are linear, so here the
  pixel embeddings are shrunk, once for each feature map. Masks of the full size are made after the last layer only.
- Attention does not return its weights, the masks are not repeated for each head, and classes are predicted after the
  last layer only.
- What depends on the sizes of the feature maps alone is kept for the next pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import __version__ as transformers_version
from transformers.models.mask2former.modeling_mask2former import multi_scale_deformable_attention

from aligncat.detectors.deformable_attention import weighted_rows
from aligncat.errors import DetectorError


class Mask2FormerOutput(NamedTuple):
    """What a Mask2Former gives for B images.

    Attributes:
        class_logits: (B, N, C+1), where the last class is "no object".
        mask_logits: (B, N, h, w).
        features: (B, N, d_v), the decoder's output after its final LayerNorm.
        backbone_maps: the feature maps of the backbone's stages, (B, C, h, w) each, the largest first.
        pixel_embeddings: (B, C, h, w), the map of the pixel decoder from which masks are made.
    """

    class_logits: Tensor
    mask_logits: Tensor
    features: Tensor
    backbone_maps: list[Tensor]
    pixel_embeddings: Tensor


@dataclass(frozen=True, slots=True)
class _Grid:
    """What depends on the sizes of the feature maps alone.

    Attributes:
        shapes: (rows, columns) of each level.
        centres: (1, S, 1, levels, 1, 2), the centre of each cell, x and y in cells of each level.
        pixel_positions: (1, S, d), what the pixel decoder adds to a cell's state to make its query.
        key_positions: (1, S of the level, d) for each level, what the decoder adds to a cell's state to make its key.
    """

    shapes: tuple[tuple[int, int], ...]
    centres: Tensor
    pixel_positions: Tensor
    key_positions: tuple[Tensor, ...]


class Mask2FormerForward:
    """A function that runs a model, `Mask2FormerForUniversalSegmentation` of transformers. Threads can share it."""

    def __init__(self, model: Any, *, for_export: bool = False) -> None:
        """Find the parts of a model.

        Args:
            model: the model, in float32 and for inference, on its device.
            for_export: use only operations that the formats of other runtimes have.

        Raises:
            DetectorError: the installed transformers builds the model from other parts.
        """
        self._classes = model.class_predictor
        try:
            self._backbone = model.model.pixel_level_module.encoder
            self._pixels = _PixelDecoder(model.model.pixel_level_module.decoder, for_export)
            self._queries = _QueryDecoder(model.model.transformer_module)
        except AttributeError as error:
            raise DetectorError(
                f"aligncat does not know the Mask2Former of transformers {transformers_version} ({error}); install a "
                "version that aligncat was tested with, pip install 'transformers<=5.24'"
            ) from error
        self._grid: _Grid | None = None

    def __call__(self, pixels: Tensor) -> Mask2FormerOutput:
        """Run the model.

        Args:
            pixels: (B, 3, height, width), normalised.
        """
        maps = list(self._backbone(pixels).feature_maps)
        levels = self._pixels.projected(maps)
        grid = self._grid_of(levels)
        states, pixel_embeddings = self._pixels.run(levels, maps, grid)
        features, mask_logits = self._queries.run(states, pixel_embeddings, grid)
        return Mask2FormerOutput(self._classes(features), mask_logits, features, maps, pixel_embeddings)

    def _grid_of(self, levels: Sequence[Tensor]) -> _Grid:
        """Return the grid of feature maps, the last one if they have the same sizes."""
        shapes = tuple((level.shape[2], level.shape[3]) for level in levels)
        grid = self._grid  # another thread may replace it
        if grid is None or grid.shapes != shapes:
            sample = levels[0]
            grid = _Grid(
                shapes, _centres(shapes, sample), self._pixels.positions(levels), self._queries.positions(levels)
            )
            self._grid = grid
        return grid


def _centres(shapes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """Return the centre of each cell of each level in cells of every level, (1, S, 1, levels, 1, 2)."""
    shares = []
    for rows, columns in shapes:
        y, x = torch.meshgrid(
            (torch.arange(rows, dtype=like.dtype, device=like.device) + 0.5) / rows,
            (torch.arange(columns, dtype=like.dtype, device=like.device) + 0.5) / columns,
            indexing="ij",
        )
        shares.append(torch.stack([x.flatten(), y.flatten()], dim=1))
    sizes = like.new_tensor([(columns, rows) for rows, columns in shapes])
    return (torch.cat(shares)[:, None] * sizes - 0.5)[None, :, None, :, None]


def _sine(embedding: Any, level: Tensor) -> Tensor:
    """Return the position embedding of a level's cells, (1, S of the level, d)."""
    embedded: Tensor = embedding(level[:1].shape, level.device, level.dtype)
    return _cells(embedded)


def _cells(level: Tensor) -> Tensor:
    """Return a feature map (B, C, h, w) as (B, h · w, C)."""
    return level.flatten(2).transpose(1, 2)


class _PixelDecoder:
    """The pixel decoder: deformable attention among the cells of three levels, then one larger map."""

    def __init__(self, decoder: Any, for_export: bool) -> None:
        self._projections = list(decoder.input_projections)
        self._embedding = decoder.position_embedding
        self._levels = decoder.level_embed
        self._layers = [_PixelLayer(layer, _sampled if for_export else _read) for layer in decoder.encoder.layers]
        self._lateral = list(decoder.lateral_convolutions)
        self._smooth = list(decoder.output_convolutions)
        self._mask_projection = decoder.mask_projection

    def projected(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels, the smallest first, from the backbone's last maps."""
        finest_last = reversed(maps[-len(self._projections) :])
        return [project(level) for project, level in zip(self._projections, finest_last, strict=True)]

    def positions(self, levels: Sequence[Tensor]) -> Tensor:
        parts = [_sine(self._embedding, level) + self._levels[number] for number, level in enumerate(levels)]
        return torch.cat(parts, dim=1)

    def run(self, levels: Sequence[Tensor], maps: Sequence[Tensor], grid: _Grid) -> tuple[list[Tensor], Tensor]:
        """Return the states of the cells, (B, S of the level, d) for each level, and the pixel embeddings."""
        states = torch.cat([_cells(level) for level in levels], dim=1)
        for layer in self._layers:
            states = layer(states, grid)
        split = list(torch.split(states, [rows * columns for rows, columns in grid.shapes], dim=1))
        out = split[-1].transpose(1, 2).reshape(states.shape[0], -1, *grid.shapes[-1])
        finer = reversed(maps[: len(self._lateral)])
        for lateral, smooth, level in zip(self._lateral, self._smooth, finer, strict=True):
            side = lateral(level)
            out = smooth(side + F.interpolate(out, side.shape[-2:], mode="bilinear", align_corners=False))
        return split, self._mask_projection(out)


class _PixelLayer:
    """One layer of the pixel decoder: deformable attention and a feed-forward network."""

    def __init__(self, layer: Any, read: Callable[..., Tensor]) -> None:
        self._read = read
        attention = layer.self_attn
        self._offsets, self._weights = attention.sampling_offsets, attention.attention_weights
        self._values, self._output = attention.value_proj, attention.output_proj
        self._shape = (attention.n_heads, attention.n_levels, attention.n_points)
        self._attention_norm, self._output_norm = layer.self_attn_layer_norm, layer.final_layer_norm
        self._first, self._second = layer.fc1, layer.fc2

    def __call__(self, states: Tensor, grid: _Grid) -> Tensor:
        heads, levels, points = self._shape
        queries = states + grid.pixel_positions
        places = self._offsets(queries).unflatten(2, (heads, levels, points, 2)) + grid.centres
        weights = self._weights(queries).unflatten(2, (heads, levels * points)).softmax(dim=-1)
        values = self._values(states).unflatten(2, (heads, -1))
        read = self._read(values, grid.shapes, places, weights.unflatten(3, (levels, points)))
        states = self._attention_norm(states + self._output(read))
        return self._output_norm(states + self._second(self._first(states).relu_()))  # type: ignore[no-any-return]


def _read(values: Tensor, shapes: Sequence[tuple[int, int]], points: Tensor, weights: Tensor) -> Tensor:
    """Return what each query and head reads; points and weights are (B, Q, heads, levels, P)."""
    if values.device.type != "cpu":
        return _sampled(values, shapes, points, weights)
    counts = [weights.shape[4]] * weights.shape[3]
    return weighted_rows(values, shapes, points.flatten(3, 4), weights.flatten(3), counts)


def _sampled(values: Tensor, shapes: Sequence[tuple[int, int]], points: Tensor, weights: Tensor) -> Tensor:
    """Return the same with the function of transformers, which samples the maps: faster on a GPU, and it exports."""
    shares = (points + 0.5) / points.new_tensor([(columns, rows) for rows, columns in shapes])[:, None]
    return multi_scale_deformable_attention(values, list(shapes), shares, weights)


class _QueryDecoder:
    """The decoder: queries look at the cells inside their own masks, and at each other."""

    def __init__(self, module: Any) -> None:
        decoder = module.decoder
        self._embedding = module.position_embedder
        self._projections = list(module.input_projections)
        self._levels = module.level_embed.weight
        self._start = module.queries_features.weight
        self._positions = module.queries_embedder.weight
        self._norm = decoder.layernorm
        self._embed_masks = decoder.mask_predictor.mask_embedder
        self._layers = [_QueryLayer(layer, self._positions) for layer in decoder.layers]

    def positions(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(_sine(self._embedding, level) for level in levels)

    def run(self, states: Sequence[Tensor], pixel_embeddings: Tensor, grid: _Grid) -> tuple[Tensor, Tensor]:
        """Return the features, (B, N, d), and the mask logits, (B, N, h, w)."""
        memories = []
        for number, (level, shape) in enumerate(zip(states, grid.shapes, strict=True)):
            level_map = level.transpose(1, 2).reshape(level.shape[0], -1, *shape)
            memories.append(_cells(self._projections[number](level_map)) + self._levels[number])
        keys = [memory + position for memory, position in zip(memories, grid.key_positions, strict=True)]
        small = [
            F.interpolate(pixel_embeddings, shape, mode="bilinear", align_corners=False).flatten(2)
            for shape in grid.shapes
        ]
        queries = self._start.expand(pixel_embeddings.shape[0], -1, -1)
        features = self._norm(queries)
        for number, layer in enumerate(self._layers):
            turn = number % len(states)
            outside = (self._embed_masks(features) @ small[turn]).sigmoid() < 0.5
            seen = ~outside | outside.all(dim=-1, keepdim=True)  # an empty mask hides nothing
            queries = layer(queries, keys[turn], memories[turn], seen[:, None])
            features = self._norm(queries)
        masks: Tensor = self._embed_masks(features) @ pixel_embeddings.flatten(2)
        return features, masks.reshape(*masks.shape[:2], *pixel_embeddings.shape[-2:])


class _QueryLayer:
    """One layer of the decoder: attention to cells, attention among queries, and a feed-forward network."""

    def __init__(self, layer: Any, positions: Tensor) -> None:
        cross, own = layer.cross_attn, layer.self_attn
        self._positions = positions
        self._pre_norm = bool(layer.pre_norm)
        self._cross_heads, self._own_heads = cross.num_heads, own.num_heads
        weights, biases = cross.in_proj_weight.chunk(3), cross.in_proj_bias.chunk(3)
        self._cross_in, self._cross_out = list(zip(weights, biases, strict=True)), cross.out_proj
        self._own_in, self._own_out = (own.q_proj, own.k_proj, own.v_proj), own.out_proj
        self._norms = (layer.cross_attn_layer_norm, layer.self_attn_layer_norm, layer.final_layer_norm)
        self._first, self._second, self._activation = layer.fc1, layer.fc2, layer.activation_fn

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        """Return the new queries, (B, N, d).

        Args:
            queries: (B, N, d).
            keys: (B, S, d).
            values: (B, S, d).
            seen: (B, 1, N, S), the cells that a query may look at; at least one each.
        """
        cross = partial(self._cross, keys=keys, values=values, seen=seen)
        blocks: tuple[Callable[[Tensor], Tensor], ...] = (cross, self._own, self._feed_forward)
        for norm, block in zip(self._norms, blocks, strict=True):
            queries = queries + block(norm(queries)) if self._pre_norm else norm(queries + block(queries))
        return queries

    def _cross(self, queries: Tensor, keys: Tensor, values: Tensor, seen: Tensor) -> Tensor:
        parts = (queries + self._positions, keys, values)
        q, k, v = (F.linear(part, *weights) for part, weights in zip(parts, self._cross_in, strict=True))
        return self._cross_out(_attention(q, k, v, heads=self._cross_heads, seen=seen))  # type: ignore[no-any-return]

    def _own(self, queries: Tensor) -> Tensor:
        placed = queries + self._positions
        q, k, v = (project(part) for project, part in zip(self._own_in, (placed, placed, queries), strict=True))
        return self._own_out(_attention(q, k, v, heads=self._own_heads))  # type: ignore[no-any-return]

    def _feed_forward(self, queries: Tensor) -> Tensor:
        return self._second(self._activation(self._first(queries)))  # type: ignore[no-any-return]


def _attention(queries: Tensor, keys: Tensor, values: Tensor, *, heads: int, seen: Tensor | None = None) -> Tensor:
    """Return multi-head attention, (B, N, d), before the output projection."""
    q, k, v = (part.reshape(*part.shape[:2], heads, -1).transpose(1, 2) for part in (queries, keys, values))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=seen).transpose(1, 2).flatten(2)
