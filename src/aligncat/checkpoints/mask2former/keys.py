"""The original name, the shape and the transformers name of every weight of a Mask2Former.

The transformers names are those of the checkpoints on the hub since 2023. In memory, transformers 5 has other names for
many Swin modules. It renames the tensors while loading, so files must keep the old names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aligncat.checkpoints.mask2former.architectures import LEVELS, POINTS, Architecture, ResNet, Swin

_HEAD = "sem_seg_head."
_PREDICTOR = _HEAD + "predictor."
_PIXEL_DECODER = _HEAD + "pixel_decoder."
_NEW_BACKBONE = "model.pixel_level_module.encoder."
_NEW_PIXEL_DECODER = "model.pixel_level_module.decoder."
_NEW_PREDICTOR = "model.transformer_module."
QUERIES_KEY = _PREDICTOR + "query_feat.weight"
CLASSES_KEY = _PREDICTOR + "class_embed.weight"


@dataclass(frozen=True)
class Weight:
    """One tensor of the original checkpoint.

    Attributes:
        name: its name in the original.
        shape: its shape in the original.
        targets: its name in a transformers file. A tensor that stacks the projections of query, key and value has
            three.
    """

    name: str
    shape: tuple[int, ...]
    targets: tuple[str, ...]


DROPPED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"criterion\..*"), "only the training loss uses it"),
    (
        re.compile(r"backbone\.layers\.\d+\.blocks\.\d+\.attn\.relative_position_index"),
        "it follows from the window size",
    ),
    (re.compile(r"backbone\..*\.num_batches_tracked"), "it counts training steps, and the detector is frozen"),
    (re.compile(r"pixel_(mean|std)"), "it has ImageNet's values, which aligncat uses anyway"),
)
"""(pattern of a key, reason why a converted model does not need it)."""


def reason_to_drop(name: str) -> str | None:
    """Return the reason why a converted model does not need an original key, or None if it does."""
    return next((reason for pattern, reason in DROPPED if pattern.fullmatch(name)), None)


def current_name(name: str) -> str:
    """Return the name of a key in the current version of the original.

    Before version 2 of the head, the pixel decoder's weights were directly under `sem_seg_head`, and the query features
    were called `static_query`.
    """
    if name.startswith(_HEAD) and not name.startswith((_PREDICTOR, _PIXEL_DECODER)):
        return _PIXEL_DECODER + name.removeprefix(_HEAD)
    if name.startswith(_PREDICTOR):
        return name.replace(".static_query.", ".query_feat.")
    return name


def weights_of(architecture: Architecture, queries: int, classes: int) -> list[Weight]:
    """Return all weights of a model.

    Args:
        architecture: the sizes of the model.
        queries: N, the number of queries.
        classes: C, the number of classes without "no object".
    """
    backbone = architecture.backbone
    return [
        *(_swin(backbone) if isinstance(backbone, Swin) else _resnet(backbone)),
        *_pixel_decoder(architecture),
        *_predictor(architecture, queries, classes),
    ]


def _swin(swin: Swin) -> Iterator[Weight]:
    old, new = "backbone.", _NEW_BACKBONE
    yield from _affine(old + "patch_embed.proj", new + "embeddings.patch_embeddings.projection", swin.embed, 3, 4, 4)
    yield from _affine(old + "patch_embed.norm", new + "embeddings.norm", swin.embed)
    for stage, (width, depth, heads) in enumerate(zip(swin.channels, swin.depths, swin.heads, strict=True)):
        for block in range(depth):
            yield from _swin_block(
                f"{old}layers.{stage}.blocks.{block}.",
                f"{new}encoder.layers.{stage}.blocks.{block}.",
                width,
                heads,
                swin.window,
            )
        if stage < 3:
            merging = f"{old}layers.{stage}.downsample.", f"{new}encoder.layers.{stage}.downsample."
            yield _plain(merging[0] + "reduction.weight", merging[1] + "reduction.weight", 2 * width, 4 * width)
            yield from _affine(merging[0] + "norm", merging[1] + "norm", 4 * width)
        yield from _affine(f"{old}norm{stage}", f"{new}hidden_states_norms.stage{stage + 1}", width)


def _swin_block(old: str, new: str, width: int, heads: int, window: int) -> Iterator[Weight]:
    yield from _affine(old + "norm1", new + "layernorm_before", width)
    parts = [f"{new}attention.self.{part}" for part in ("query", "key", "value")]
    yield from _query_key_value(old + "attn.qkv.weight", old + "attn.qkv.bias", parts, width)
    table = "relative_position_bias_table"
    yield _plain(f"{old}attn.{table}", f"{new}attention.self.{table}", (2 * window - 1) ** 2, heads)
    yield from _affine(old + "attn.proj", new + "attention.output.dense", width, width)
    yield from _affine(old + "norm2", new + "layernorm_after", width)
    yield from _affine(old + "mlp.fc1", new + "intermediate.dense", 4 * width, width)
    yield from _affine(old + "mlp.fc2", new + "output.dense", width, 4 * width)


def _resnet(resnet: ResNet) -> Iterator[Weight]:
    yield from _convolution("backbone.stem.conv1", _NEW_BACKBONE + "embedder.embedder", resnet.stem, 3, 7)
    incoming = resnet.stem
    for stage, (width, depth) in enumerate(zip(resnet.widths, resnet.depths, strict=True)):
        for block in range(depth):
            old = f"backbone.res{stage + 2}.{block}."
            new = f"{_NEW_BACKBONE}encoder.stages.{stage}.layers.{block}."
            if block == 0:
                yield from _convolution(old + "shortcut", new + "shortcut", width, incoming, 1)
            yield from _convolution(old + "conv1", new + "layer.0", width // 4, incoming, 1)
            yield from _convolution(old + "conv2", new + "layer.1", width // 4, width // 4, 3)
            yield from _convolution(old + "conv3", new + "layer.2", width, width // 4, 1)
            incoming = width


def _convolution(old: str, new: str, out: int, incoming: int, side: int) -> Iterator[Weight]:
    """Yield the weights of a convolution and its batch norm, frozen or not."""
    yield _plain(old + ".weight", new + ".convolution.weight", out, incoming, side, side)
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield _plain(f"{old}.norm.{part}", f"{new}.normalization.{part}", out)


def _pixel_decoder(architecture: Architecture) -> Iterator[Weight]:
    old, new = _PIXEL_DECODER, _NEW_PIXEL_DECODER
    hidden, channels = architecture.hidden, architecture.backbone.channels
    for level, width in enumerate(reversed(channels[1:])):
        names = f"{old}input_proj.{level}.", f"{new}input_projections.{level}."
        yield from _affine(names[0] + "0", names[1] + "0", hidden, width, 1, 1)
        yield from _affine(names[0] + "1", names[1] + "1", hidden)
    yield _plain(old + "transformer.level_embed", new + "level_embed", LEVELS, hidden)
    for layer in range(architecture.encoder_layers):
        yield from _deformable_layer(
            f"{old}transformer.encoder.layers.{layer}.", f"{new}encoder.layers.{layer}.", architecture
        )
    yield _plain(old + "adapter_1.weight", new + "adapter_1.0.weight", hidden, channels[0], 1, 1)
    yield from _affine(old + "adapter_1.norm", new + "adapter_1.1", hidden)
    yield _plain(old + "layer_1.weight", new + "layer_1.0.weight", hidden, hidden, 3, 3)
    yield from _affine(old + "layer_1.norm", new + "layer_1.1", hidden)
    yield from _affine(old + "mask_features", new + "mask_projection", hidden, hidden, 1, 1)


def _deformable_layer(old: str, new: str, architecture: Architecture) -> Iterator[Weight]:
    hidden, feedforward = architecture.hidden, architecture.encoder_feedforward
    samples = architecture.heads * LEVELS * POINTS
    for part, out in (
        ("sampling_offsets", 2 * samples),
        ("attention_weights", samples),
        ("value_proj", hidden),
        ("output_proj", hidden),
    ):
        yield from _affine(f"{old}self_attn.{part}", f"{new}self_attn.{part}", out, hidden)
    yield from _affine(old + "norm1", new + "self_attn_layer_norm", hidden)
    yield from _affine(old + "linear1", new + "fc1", feedforward, hidden)
    yield from _affine(old + "linear2", new + "fc2", hidden, feedforward)
    yield from _affine(old + "norm2", new + "final_layer_norm", hidden)


def _predictor(architecture: Architecture, queries: int, classes: int) -> Iterator[Weight]:
    old, new, hidden = _PREDICTOR, _NEW_PREDICTOR, architecture.hidden
    yield _plain(QUERIES_KEY, new + "queries_features.weight", queries, hidden)
    yield _plain(old + "query_embed.weight", new + "queries_embedder.weight", queries, hidden)
    yield _plain(old + "level_embed.weight", new + "level_embed.weight", LEVELS, hidden)
    for layer in range(architecture.decoder_layers):
        yield from _decoder_layer(layer, architecture)
    yield from _affine(old + "decoder_norm", new + "decoder.layernorm", hidden)
    for layer in range(3):
        target = f"{new}decoder.mask_predictor.mask_embedder.{layer}.0"
        yield from _affine(f"{old}mask_embed.layers.{layer}", target, hidden, hidden)
    yield from _affine(old + "class_embed", "class_predictor", classes + 1, hidden)


def _decoder_layer(layer: int, architecture: Architecture) -> Iterator[Weight]:
    hidden, feedforward = architecture.hidden, architecture.feedforward
    new = f"{_NEW_PREDICTOR}decoder.layers.{layer}."

    cross = f"{_PREDICTOR}transformer_cross_attention_layers.{layer}."
    attention = cross + "multihead_attn."
    yield _plain(attention + "in_proj_weight", new + "cross_attn.in_proj_weight", 3 * hidden, hidden)
    yield _plain(attention + "in_proj_bias", new + "cross_attn.in_proj_bias", 3 * hidden)
    yield from _affine(attention + "out_proj", new + "cross_attn.out_proj", hidden, hidden)
    yield from _affine(cross + "norm", new + "cross_attn_layer_norm", hidden)

    own = f"{_PREDICTOR}transformer_self_attention_layers.{layer}."
    attention = own + "self_attn."
    parts = [f"{new}self_attn.{part}_proj" for part in "qkv"]
    yield from _query_key_value(attention + "in_proj_weight", attention + "in_proj_bias", parts, hidden)
    yield from _affine(attention + "out_proj", new + "self_attn.out_proj", hidden, hidden)
    yield from _affine(own + "norm", new + "self_attn_layer_norm", hidden)

    mlp = f"{_PREDICTOR}transformer_ffn_layers.{layer}."
    yield from _affine(mlp + "linear1", new + "fc1", feedforward, hidden)
    yield from _affine(mlp + "linear2", new + "fc2", hidden, feedforward)
    yield from _affine(mlp + "norm", new + "final_layer_norm", hidden)


def _plain(old: str, new: str, *shape: int) -> Weight:
    return Weight(old, shape, (new,))


def _affine(old: str, new: str, *shape: int) -> Iterator[Weight]:
    """Yield a weight of a shape and the bias of its outputs."""
    yield _plain(old + ".weight", new + ".weight", *shape)
    yield _plain(old + ".bias", new + ".bias", shape[0])


def _query_key_value(weight: str, bias: str, parts: Iterable[str], width: int) -> Iterator[Weight]:
    """Yield the projections of query, key and value: one tensor in the original, three in transformers."""
    yield Weight(weight, (3 * width, width), tuple(f"{part}.weight" for part in parts))
    yield Weight(bias, (3 * width,), tuple(f"{part}.bias" for part in parts))
