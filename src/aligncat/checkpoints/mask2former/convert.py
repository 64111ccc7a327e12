"""Convert original Mask2Former weights into transformers' weights. Every key must be used or dropped for a reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from aligncat.checkpoints.check_keys import check_keys
from aligncat.checkpoints.mask2former.architectures import Architecture, ResNet
from aligncat.checkpoints.mask2former.keys import (
    CLASSES_KEY,
    QUERIES_KEY,
    Weight,
    current_name,
    reason_to_drop,
    weights_of,
)
from aligncat.checkpoints.mask2former.position_index import FoldedIndex, fold_position_index
from aligncat.errors import CheckpointError

_PIXELS = {"pixel_mean": (123.675, 116.28, 103.53), "pixel_std": (58.395, 57.12, 57.375)}
_NO_OBJECT = 0.1  # weight of the class "no object" in the original loss


@dataclass(frozen=True)
class Converted:
    """A converted checkpoint.

    Attributes:
        weights: the tensors, by their names in transformers' files.
        queries: N, the number of queries.
        classes: C, the number of classes without "no object".
        used: the number of original tensors that are in `weights`.
        dropped: the other original keys, each with the reason why it is not needed.
        position_index: what was done about a shifted `relative_position_index`.
    """

    weights: dict[str, Tensor]
    queries: int
    classes: int
    used: int
    dropped: dict[str, str]
    position_index: FoldedIndex


def convert(tensors: Mapping[str, Tensor], architecture: Architecture, source: str) -> Converted:
    """Rename and split the weights of an original Mask2Former.

    A `relative_position_index` that QueryMatch's training has shifted is folded into the bias table; see
    `fold_position_index`.

    Args:
        tensors: the checkpoint's tensors by their original names, from any version of the head.
        architecture: the checkpoint's architecture.
        source: the file's name, for error messages.

    Raises:
        CheckpointError: the keys or shapes do not match the architecture, the checkpoint was trained with other
            pixel means than ImageNet's, or a position index is neither the computed one nor one that can be folded.
    """
    state = _with_current_names(tensors, source)
    queries, classes = _rows(state, QUERIES_KEY, source), _rows(state, CLASSES_KEY, source) - 1
    expected = weights_of(architecture, queries, classes)
    names = {weight.name for weight in expected}
    dropped = {name: reason for name in state if name not in names and (reason := reason_to_drop(name))}
    check_keys(state, {weight.name: weight.shape for weight in expected}, dropped, source)
    _check_pixels(state, source)
    folded = fold_position_index(state, source)
    state |= folded.tables
    dropped.update(dict.fromkeys(folded.names, "its shift is folded into relative_position_bias_table"))
    weights = dict(part for weight in expected for part in _split(weight, state[weight.name]))
    weights |= _unused_tensors(architecture, classes, weights)
    return Converted(weights, queries, classes, len(expected), dropped, folded)


def _unused_tensors(architecture: Architecture, classes: int, weights: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors that transformers expects in a file although a frozen detector never uses them.

    They are the class weights of the loss, and the step counters of batch norms (ResNet) or the norm after the last
    stage of the classifier (Swin). Without them, transformers would report missing tensors.
    """
    unused = {"criterion.empty_weight": torch.ones(classes + 1)}
    unused["criterion.empty_weight"][-1] = _NO_OBJECT
    if isinstance(architecture.backbone, ResNet):
        counters = [name.replace("running_mean", "num_batches_tracked") for name in weights if "running_mean" in name]
        return unused | {name: torch.zeros((), dtype=torch.int64) for name in counters}
    width = architecture.backbone.channels[-1]
    norm = "model.pixel_level_module.encoder.swin.layernorm."
    return unused | {norm + "weight": torch.ones(width), norm + "bias": torch.zeros(width)}


def _with_current_names(tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        new = current_name(name)
        if new in state:
            raise CheckpointError(
                f"{source}: {new} occurs twice, under its current and an older name; download the file again"
            )
        state[new] = tensor
    return state


def _rows(state: Mapping[str, Tensor], name: str, source: str) -> int:
    """Return the number of rows of a matrix, for instance one per query."""
    if name not in state or state[name].ndim != 2 or len(state[name]) < 2:
        raise CheckpointError(
            f"{source}: has no matrix {name!r}, so this is not a Mask2Former; give an original Mask2Former checkpoint"
        )
    return len(state[name])


def _check_pixels(state: Mapping[str, Tensor], source: str) -> None:
    for name, values in _PIXELS.items():
        if name in state and not torch.allclose(state[name].flatten().float(), torch.tensor(values), atol=0.01):
            found = [round(float(value), 3) for value in state[name].flatten()]
            raise CheckpointError(
                f"{source}: its {name} is {found}, but aligncat normalises RGB pixels with ImageNet's {list(values)}, "
                "so the features would be wrong; give a checkpoint that was trained with ImageNet's values"
            )


def _split(weight: Weight, tensor: Tensor) -> Iterable[tuple[str, Tensor]]:
    return zip(weight.targets, (part.float().contiguous() for part in tensor.chunk(len(weight.targets))), strict=True)
