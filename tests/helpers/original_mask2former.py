"""The forward pass of the original Mask2Former in plain torch, with the original key names.

It was written from the papers: Swin (Liu et al., ICCV 2021), ResNet (He et al., CVPR 2016), deformable attention (Zhu
et al., ICLR 2021) and masked attention (Cheng et al., CVPR 2022). Each weight is drawn at random when the computation
first asks for it by name and shape. The resulting state therefore has exactly the weights that the computation uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Weights:
    """Random weights, each drawn when it is first requested."""

    generator: torch.Generator
    state: dict[str, Tensor] = field(default_factory=dict)

    def get(self, name: str, *shape: int, spread: float | None = None) -> Tensor:
        if name not in self.state:
            fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
            scale = spread if spread is not None else (fan_in**-0.5 if len(shape) > 1 else 0.2)
            self.state[name] = torch.randn(shape, generator=self.generator) * scale
        assert self.state[name].shape == shape, name
        return self.state[name]

    def positive(self, name: str, size: int) -> Tensor:
        if name not in self.state:
            self.state[name] = torch.rand(size, generator=self.generator) + 0.5
        return self.state[name]

    def linear(self, name: str, x: Tensor, out: int) -> Tensor:
        return x @ self.get(name + ".weight", out, x.shape[-1]).T + self.get(name + ".bias", out)

    def layer_norm(self, name: str, x: Tensor) -> Tensor:
        size = x.shape[-1]
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * self.positive(name + ".weight", size) + self.get(name + ".bias", size)

    def group_norm(self, name: str, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        grouped = x.reshape(batch, 32, -1)
        grouped = grouped - grouped.mean(-1, keepdim=True)
        grouped = grouped / (grouped.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        weight, bias = self.positive(name + ".weight", channels), self.get(name + ".bias", channels)
        return grouped.reshape(x.shape) * weight[:, None, None] + bias[:, None, None]

    def frozen_norm(self, name: str, x: Tensor) -> Tensor:
        channels = x.shape[1]
        scale = (
            self.positive(name + ".weight", channels) / (self.positive(name + ".running_var", channels) + 1e-5).sqrt()
        )
        shift = self.get(name + ".bias", channels) - self.get(name + ".running_mean", channels) * scale
        return x * scale[:, None, None] + shift[:, None, None]


def attention(query: Tensor, key: Tensor, value: Tensor, heads: int, forbidden: Tensor | None = None) -> Tensor:
    """Compute softmax attention of (n, d) queries over (m, d) keys.

    `forbidden`, (n, m) or (heads, n, m), is added to the logits.
    """
    split = [x.reshape(len(x), heads, -1).transpose(0, 1) for x in (query, key, value)]
    logits = split[0] @ split[1].transpose(1, 2) / math.sqrt(split[0].shape[-1])
    if forbidden is not None:
        logits = logits + forbidden
    return (logits.softmax(-1) @ split[2]).transpose(0, 1).reshape(len(query), -1)


# ---- Swin ----


def swin(
    w: Weights, image: Tensor, embed: int, depths: tuple[int, ...], heads: tuple[int, ...], window: int
) -> list[Tensor]:
    """Return the four feature maps (1, C, h, w) of an image (1, 3, H, W)."""
    kernel = w.get("backbone.patch_embed.proj.weight", embed, 3, 4, 4)
    patches = F.conv2d(image, kernel, w.get("backbone.patch_embed.proj.bias", embed), stride=4)[0].permute(1, 2, 0)
    x = w.layer_norm("backbone.patch_embed.norm", patches)
    maps = []
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        for block in range(depth):
            shift = window // 2 if block % 2 else 0
            x = swin_block(w, f"backbone.layers.{stage}.blocks.{block}.", x, count, window, shift)
        maps.append(w.layer_norm(f"backbone.norm{stage}", x).permute(2, 0, 1)[None])
        if stage < 3:
            x = merge(w, f"backbone.layers.{stage}.downsample.", x)
    return maps


def position_index(window: int) -> Tensor:
    """Return the row of the bias table for each pair of cells in a window, (window^2, window^2)."""
    place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij"), -1).reshape(-1, 2)
    offset = place[:, None] - place[None] + window - 1
    return offset[..., 0] * (2 * window - 1) + offset[..., 1]


def averaged_index(window: int, steps: int) -> Tensor:
    """Return the index after QueryMatch's moving average of all buffers, which writes back into an integer buffer."""
    index = position_index(window)
    shadow = index.clone()
    for step in range(steps):
        decay = min(0.9997, (step + 1) / (step + 10))
        shadow.copy_(decay * shadow + (1 - decay) * index)
    return shadow


def swin_block(w: Weights, name: str, x: Tensor, heads: int, window: int, shift: int) -> Tensor:
    """Apply one block to a map (h, w, C)."""
    height, width, channels = x.shape
    normed = w.layer_norm(name + "norm1", x)
    rows, columns = (-(-side // window) * window for side in (height, width))
    padded = torch.zeros(rows, columns, channels)
    padded[:height, :width] = normed
    # After a cyclic shift, cells from the opposite edge are next to cells that are not their neighbours in the map.
    source_y, source_x = (torch.arange(rows) + shift) % rows, (torch.arange(columns) + shift) % columns
    region = (source_y < torch.arange(rows))[:, None] * 2 + (source_x < torch.arange(columns))[None] * 1
    shifted = padded[source_y][:, source_x]

    table = w.get(name + "attn.relative_position_bias_table", (2 * window - 1) ** 2, heads, spread=1.0)
    # The original stores the index as a buffer and reads it from there, whatever training has made of it.
    saved = w.state.get(name + "attn.relative_position_index")
    bias = table[position_index(window) if saved is None else saved].permute(2, 0, 1)

    result = torch.zeros_like(shifted)
    for top in range(0, rows, window):
        for left in range(0, columns, window):
            here = slice(top, top + window), slice(left, left + window)
            cells, regions = shifted[here].reshape(-1, channels), region[here].reshape(-1)
            apart = torch.where(regions[:, None] == regions[None], 0.0, float("-inf"))
            query, key, value = w.linear(name + "attn.qkv", cells, 3 * channels).chunk(3, dim=1)
            seen = w.linear(name + "attn.proj", attention(query, key, value, heads, bias + apart), channels)
            result[here] = seen.reshape(window, window, channels)
    back = torch.zeros_like(result)
    back[source_y[:, None], source_x[None]] = result
    x = x + back[:height, :width]
    hidden = F.gelu(w.linear(name + "mlp.fc1", w.layer_norm(name + "norm2", x), 4 * channels))
    return x + w.linear(name + "mlp.fc2", hidden, channels)


def merge(w: Weights, name: str, x: Tensor) -> Tensor:
    """Merge 2 x 2 cells, in column order, into one cell with twice the channels."""
    height, width, channels = x.shape
    padded = torch.zeros(height + height % 2, width + width % 2, channels)
    padded[:height, :width] = x
    four = torch.cat([padded[dy::2, dx::2] for dx in (0, 1) for dy in (0, 1)], dim=-1)
    return w.layer_norm(name + "norm", four) @ w.get(name + "reduction.weight", 2 * channels, 4 * channels).T


# ---- ResNet ----


def resnet(w: Weights, image: Tensor, depths: tuple[int, ...], stem: int, widths: tuple[int, ...]) -> list[Tensor]:
    """Return the four feature maps of an image. As in detectron2, the 3 x 3 convolutions have the stride."""

    def convolve(name: str, x: Tensor, out: int, side: int, stride: int) -> Tensor:
        kernel = w.get(name + ".weight", out, x.shape[1], side, side)
        return w.frozen_norm(name + ".norm", F.conv2d(x, kernel, stride=stride, padding=side // 2))

    x = F.max_pool2d(convolve("backbone.stem.conv1", image, stem, 7, 2).relu(), 3, 2, 1)
    maps = []
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        for block in range(depth):
            name = f"backbone.res{stage + 2}.{block}."
            stride = 2 if stage and not block else 1
            inside = convolve(name + "conv1", x, width // 4, 1, 1).relu()
            inside = convolve(name + "conv2", inside, width // 4, 3, stride).relu()
            inside = convolve(name + "conv3", inside, width, 1, 1)
            x = (inside + (x if block else convolve(name + "shortcut", x, width, 1, stride))).relu()
        maps.append(x)
    return maps


# ---- Pixel decoder ----


def positions(height: int, width: int, hidden: int) -> Tensor:
    """Return sine position encodings, (height * width, hidden). The first half of the channels encodes the row."""

    def half(steps: int) -> Tensor:
        place = torch.arange(1, steps + 1) / (steps + 1e-6) * 2 * math.pi
        pair = torch.arange(hidden // 4)
        angle = place[:, None] / 10000 ** (2 * pair / (hidden // 2))
        return torch.stack((angle.sin(), angle.cos()), -1).reshape(steps, -1)

    down = half(height)[:, None].expand(-1, width, -1)
    across = half(width)[None].expand(height, -1, -1)
    return torch.cat((down, across), -1).reshape(height * width, hidden)


def bilinear(grid: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Interpolate a map (h, w, d) at pixel coordinates (n,). The map is zero outside."""
    height, width, _ = grid.shape
    result = torch.zeros(len(x), grid.shape[-1])
    for corner_x in (x.floor(), x.floor() + 1):
        for corner_y in (y.floor(), y.floor() + 1):
            weight = (1 - (x - corner_x).abs()) * (1 - (y - corner_y).abs())
            inside = (corner_x >= 0) & (corner_x < width) & (corner_y >= 0) & (corner_y < height)
            column, row = corner_x.clamp(0, width - 1).long(), corner_y.clamp(0, height - 1).long()
            result += (weight * inside)[:, None] * grid[row, column]
    return result


def deformable_attention(
    w: Weights, name: str, x: Tensor, place: Tensor, sizes: list[tuple[int, int]], heads: int
) -> Tensor:
    """For each cell of all levels (n, d), read 4 points per level and head around its position."""
    count, hidden = x.shape
    query = x + place
    samples = heads * len(sizes) * 4
    if name + "sampling_offsets.bias" not in w.state:  # sample points a few cells away
        w.get(name + "sampling_offsets.bias", 2 * samples, spread=2.0)
    offsets = w.linear(name + "sampling_offsets", query, 2 * samples).reshape(count, heads, len(sizes), 4, 2)
    shares = w.linear(name + "attention_weights", query, samples).reshape(count, heads, -1).softmax(-1)
    shares = shares.reshape(count, heads, len(sizes), 4)
    values = w.linear(name + "value_proj", x, hidden)
    centres = torch.cat(
        [
            torch.stack(
                (
                    ((torch.arange(width) + 0.5) / width).repeat(height),
                    ((torch.arange(height) + 0.5) / height).repeat_interleave(width),
                ),
                -1,
            )
            for height, width in sizes
        ]
    )
    read = torch.zeros(count, heads, hidden // heads)
    for level, ((height, width), level_values) in enumerate(
        zip(sizes, torch.split(values, [height * width for height, width in sizes]), strict=True)
    ):
        for head in range(heads):
            grid = level_values.reshape(height, width, heads, -1)[:, :, head]
            for point in range(4):
                shift = offsets[:, head, level, point]
                at_x = centres[:, 0] * width + shift[:, 0] - 0.5
                at_y = centres[:, 1] * height + shift[:, 1] - 0.5
                read[:, head] += shares[:, head, level, point, None] * bilinear(grid, at_x, at_y)
    return w.linear(name + "output_proj", read.reshape(count, hidden), hidden)


def pixel_decoder(
    w: Weights, maps: list[Tensor], hidden: int, layers: int, feedforward: int, heads: int
) -> tuple[list[Tensor], Tensor]:
    """Return the three levels (n, hidden), coarsest first, and the mask features (hidden, h, w)."""
    name = "sem_seg_head.pixel_decoder."
    levels = maps[:0:-1]
    sizes = [(level.shape[2], level.shape[3]) for level in levels]
    projected, places = [], []
    embedding = w.get(name + "transformer.level_embed", 3, hidden, spread=1.0)
    for index, level in enumerate(levels):
        kernel = w.get(f"{name}input_proj.{index}.0.weight", hidden, level.shape[1], 1, 1)
        flat = F.conv2d(level, kernel, w.get(f"{name}input_proj.{index}.0.bias", hidden))
        projected.append(w.group_norm(f"{name}input_proj.{index}.1", flat)[0].flatten(1).T)
        places.append(positions(*sizes[index], hidden) + embedding[index])
    x, place = torch.cat(projected), torch.cat(places)
    for index in range(layers):
        layer = f"{name}transformer.encoder.layers.{index}."
        x = w.layer_norm(layer + "norm1", x + deformable_attention(w, layer + "self_attn.", x, place, sizes, heads))
        inside = w.linear(layer + "linear1", x, feedforward).relu()
        x = w.layer_norm(layer + "norm2", x + w.linear(layer + "linear2", inside, hidden))
    split = list(torch.split(x, [height * width for height, width in sizes]))
    fine = F.conv2d(maps[0], w.get(name + "adapter_1.weight", hidden, maps[0].shape[1], 1, 1))
    fine = w.group_norm(name + "adapter_1.norm", fine)
    finest = split[-1].T.reshape(1, hidden, *sizes[-1])
    fine = fine + F.interpolate(finest, size=fine.shape[-2:], mode="bilinear", align_corners=False)
    fine = F.conv2d(fine, w.get(name + "layer_1.weight", hidden, hidden, 3, 3), padding=1)
    fine = w.group_norm(name + "layer_1.norm", fine).relu()
    kernel = w.get(name + "mask_features.weight", hidden, hidden, 1, 1)
    return split, F.conv2d(fine, kernel, w.get(name + "mask_features.bias", hidden))[0]


# ---- Transformer decoder ----


def multihead(
    w: Weights, name: str, query: Tensor, key: Tensor, value: Tensor, heads: int, forbidden: Tensor | None
) -> Tensor:
    hidden = query.shape[1]
    projections = w.get(name + "in_proj_weight", 3 * hidden, hidden).chunk(3)
    biases = w.get(name + "in_proj_bias", 3 * hidden).chunk(3)
    q, k, v = (x @ p.T + b for x, p, b in zip((query, key, value), projections, biases, strict=True))
    return w.linear(name + "out_proj", attention(q, k, v, heads, forbidden), hidden)


def predict(w: Weights, x: Tensor, mask_features: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the normalised features, the class logits and the mask logits of the queries x, (n, hidden)."""
    name = "sem_seg_head.predictor."
    hidden = x.shape[1]
    features = w.layer_norm(name + "decoder_norm", x)
    embedded = features
    for layer in range(3):
        embedded = w.linear(f"{name}mask_embed.layers.{layer}", embedded, hidden)
        embedded = embedded.relu() if layer < 2 else embedded
    logits = w.linear(name + "class_embed", features, classes + 1)
    return features, logits, torch.einsum("qc,chw->qhw", embedded, mask_features)


def decoder(
    w: Weights,
    levels: list[Tensor],
    sizes: list[tuple[int, int]],
    mask_features: Tensor,
    queries: int,
    classes: int,
    layers: int,
    feedforward: int,
    heads: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the decoder with masked attention: a query attends to its last mask, or everywhere if the mask is empty."""
    name = "sem_seg_head.predictor."
    hidden = levels[0].shape[1]
    x = w.get(name + "query_feat.weight", queries, hidden, spread=1.0)
    own = w.get(name + "query_embed.weight", queries, hidden, spread=1.0)
    embedding = w.get(name + "level_embed.weight", 3, hidden, spread=1.0)
    for layer in range(layers):
        height, width = sizes[layer % 3]
        masks = predict(w, x, mask_features, classes)[2]
        masks = F.interpolate(masks[None], size=(height, width), mode="bilinear", align_corners=False)[0].flatten(1)
        outside = masks < 0
        outside[outside.all(dim=1)] = False
        forbidden = torch.where(outside, float("-inf"), 0.0)
        memory = levels[layer % 3] + embedding[layer % 3]
        key = memory + positions(height, width, hidden)
        block = f"{name}transformer_cross_attention_layers.{layer}."
        seen = multihead(w, block + "multihead_attn.", x + own, key, memory, heads, forbidden)
        x = w.layer_norm(block + "norm", x + seen)
        block = f"{name}transformer_self_attention_layers.{layer}."
        x = w.layer_norm(block + "norm", x + multihead(w, block + "self_attn.", x + own, x + own, x, heads, None))
        block = f"{name}transformer_ffn_layers.{layer}."
        inside = w.linear(block + "linear1", x, feedforward).relu()
        x = w.layer_norm(block + "norm", x + w.linear(block + "linear2", inside, hidden))
    return predict(w, x, mask_features, classes)
