"""Load models with transformers, one at a time in a process, and check what was loaded."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOCK = threading.RLock()


@contextmanager
def model_loading() -> Iterator[None]:
    """Let one thread of the process load a model, without transformers' progress bar for weights.

    While transformers loads a model, it changes state that all threads share: torch's default type, the functions that
    initialise weights, its own switches. Two loads at once can leave random weights in a model. So each of our loads
    runs inside this context, which a thread may enter again.

    Download bars are still shown. This also hides the message that a ResNet backbone is not supported by Mask2Former,
    because the mini detector uses one.
    """
    with _LOCK:
        from transformers.utils import logging as transformers_logging

        shown = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        config_logger = logging.getLogger("transformers.models.mask2former.configuration_mask2former")
        config_logger.addFilter(_not_about_resnet)
        try:
            yield
        finally:
            config_logger.removeFilter(_not_about_resnet)
            if shown:
                transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def unlike_files(model: nn.Module, paths: Iterable[Path], *, allowed: tuple[str, ...] = ()) -> list[str]:
    """Return the names of a loaded model's tensors whose values are not in its weight files.

    transformers gives some tensors other names than in the file, so a tensor may equal any one of the same shape. A
    tensor that was loaded from another type of number equals the converted one.

    Args:
        model: the model, as loaded, on the CPU.
        paths: its safetensors files.
        allowed: beginnings and endings of names that are not checked.
    """
    from safetensors import safe_open

    own = dict(model.state_dict())
    types = {tensor.dtype for tensor in own.values()}
    stored = set()
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # not a dict
                tensor = file.get_tensor(name)
                kin = {each for each in types if each.is_floating_point == tensor.is_floating_point()}
                stored |= {_fingerprint(tensor.to(each)) for each in kin}
    return [
        name
        for name, tensor in own.items()
        if not name.startswith(allowed) and not name.endswith(allowed) and _fingerprint(tensor) not in stored
    ]


def _fingerprint(tensor: Tensor) -> tuple[tuple[int, ...], int]:
    """Return a tensor's shape and the CRC-32 of its bytes."""
    import torch

    return tuple(tensor.shape), zlib.crc32(tensor.contiguous().flatten().view(torch.uint8).numpy().data)


def _not_about_resnet(record: logging.LogRecord) -> bool:
    return "Backbone resnet is not a supported model" not in record.getMessage()
