"""Load a model's weights from the bytes of a safetensors file, and refuse all that are not exactly its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from aligncat.errors import ConfigError
from aligncat.wording import first_line


@contextmanager
def made_without_weights() -> Iterator[None]:
    """Make models on the device "meta" in the block: they allocate nothing, and no first weights are drawn.

    Drawing on "meta" computes nothing either, but makes torch import its compiler, for a second of processor time.
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves out what torch.nn.init does to a tensor, which is its first argument and its result."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def load_weights(model: nn.Module, content: bytes, path: Path, remedy: str) -> None:
    """Load the weights of a model.

    Args:
        model: the model, whose weights are replaced; they may be on the device "meta".
        content: the content of a safetensors file.
        path: the file, for error messages.
        remedy: what to do if the file cannot be used.

    Raises:
        ConfigError: the file is damaged, or a tensor is missing, unexpected, of another shape or type, or not finite.
    """
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, OverflowError, MemoryError, RuntimeError) as error:
        raise ConfigError(f"{path}: damaged ({first_line(error)}); {remedy}") from error
    check_tensors(tensors, model.state_dict(), str(path), remedy)
    # Copies, because a tensor of the file starts anywhere in memory, and the last bits of a product depend on that.
    model.load_state_dict({name: tensor.clone() for name, tensor in tensors.items()}, assign=True)


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], where: str, remedy: str) -> None:
    """Check that tensors have the names, shapes and types that a model expects, and that all values are finite.

    Args:
        tensors: the tensors by name.
        expected: the model's own tensors by name.
        where: the file of the tensors, for error messages.
        remedy: what to do if they cannot be used.

    Raises:
        ConfigError: a tensor is missing, unexpected, of another shape or type, or not finite.
    """
    for name in [*expected, *tensors]:
        if name not in tensors or name not in expected:
            problem = "is missing" if name not in tensors else "is not part of the model"
            raise ConfigError(f"{where}: the tensor {name!r} {problem}; {remedy}")
        found, wanted = tensors[name], expected[name]
        if found.shape != wanted.shape:
            raise ConfigError(
                f"{where}: the tensor {name!r} has shape {tuple(found.shape)} instead of {tuple(wanted.shape)}; "
                f"{remedy}"
            )
        if found.dtype != wanted.dtype:
            raise ConfigError(
                f"{where}: the tensor {name!r} has numbers of type {_type(found)} instead of {_type(wanted)}; {remedy}"
            )
        if not torch.isfinite(found).all():
            raise ConfigError(f"{where}: the tensor {name!r} has values that are not finite; {remedy}")


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
