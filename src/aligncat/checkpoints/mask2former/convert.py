"""Original weights in, transformers' weights out, with every key accounted for."""

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
from aligncat.errors import CheckpointError

_PIXELS = {"pixel_mean": (123.675, 116.28, 103.53), "pixel_std": (58.395, 57.12, 57.375)}
_NO_OBJECT = 0.1  # weight of the class no-object in the original's loss


@dataclass(frozen=True)
class Converted:
    """A checkpoint in transformers' terms.

    Attributes:
        weights: by the names that transformers' files have.
        queries: N.
        classes: C, without no-object.
        used: how many tensors of the original are in `weights`.
        dropped: the original's other tensors, each with the reason why it is not needed.
    """

    weights: dict[str, Tensor]
    queries: int
    classes: int
    used: int
    dropped: dict[str, str]


def convert(tensors: Mapping[str, Tensor], architecture: Architecture, source: str) -> Converted:
    """Rename and split the weights of an original Mask2Former.

    Args:
        tensors: its state, by the original's names, of any version of its head.
        architecture: what it is a checkpoint of.
        source: the file, for messages.

    Raises:
        CheckpointError: a key is missing, is one too many, or is of a shape that the architecture does not have; or
            the checkpoint was trained with other pixel means than ImageNet's.
    """
    state = _with_current_names(tensors, source)
    queries, classes = _rows(state, QUERIES_KEY, source), _rows(state, CLASSES_KEY, source) - 1
    expected = weights_of(architecture, queries, classes)
    names = {weight.name for weight in expected}
    dropped = {name: reason for name in state if name not in names and (reason := reason_to_drop(name))}
    check_keys(state, {weight.name: weight.shape for weight in expected}, dropped, source)
    _check_pixels(state, source)
    weights = dict(part for weight in expected for part in _parts(weight, state[weight.name]))
    weights |= _unread(architecture, classes, weights)
    return Converted(weights, queries, classes, len(expected), dropped)


def _unread(architecture: Architecture, classes: int, weights: Iterable[str]) -> dict[str, Tensor]:
    """What transformers expects in a file and a frozen detector never reads, so that it reports nothing missing.

    The loss's class weights, and a batch norm's step counter or the norm behind the last stage of a Swin classifier.
    """
    unread = {"criterion.empty_weight": torch.ones(classes + 1)}
    unread["criterion.empty_weight"][-1] = _NO_OBJECT
    if isinstance(architecture.backbone, ResNet):
        counters = [name.replace("running_mean", "num_batches_tracked") for name in weights if "running_mean" in name]
        return unread | {name: torch.zeros((), dtype=torch.int64) for name in counters}
    width = architecture.backbone.channels[-1]
    norm = "model.pixel_level_module.encoder.swin.layernorm."
    return unread | {norm + "weight": torch.ones(width), norm + "bias": torch.zeros(width)}


def _with_current_names(tensors: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        new = current_name(name)
        if new in state:
            raise CheckpointError(f"{source}: {new} is there twice, under an old name as well: get the file again")
        state[new] = tensor
    return state


def _rows(state: Mapping[str, Tensor], name: str, source: str) -> int:
    """How many rows a matrix has, such as one for each query."""
    if name not in state or state[name].ndim != 2 or len(state[name]) < 2:
        raise CheckpointError(f"{source}: no matrix {name!r}, so this is no Mask2Former: give an original checkpoint")
    return len(state[name])


def _check_pixels(state: Mapping[str, Tensor], source: str) -> None:
    for name, values in _PIXELS.items():
        if name in state and not torch.allclose(state[name].flatten().float(), torch.tensor(values), atol=0.01):
            found = [round(float(value), 3) for value in state[name].flatten()]
            raise CheckpointError(
                f"{source}: its {name} is {found} and aligncat normalises pixels with {list(values)}, so its features "
                "would be wrong: give a checkpoint that was trained with ImageNet's, RGB"
            )


def _parts(weight: Weight, tensor: Tensor) -> Iterable[tuple[str, Tensor]]:
    return zip(weight.targets, (part.float().contiguous() for part in tensor.chunk(len(weight.targets))), strict=True)
