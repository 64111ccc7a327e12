"""Read and write training checkpoints, with a hash that shows whether one is damaged.

A checkpoint is a file of torch.save, which is a zip archive. The SHA-256 of the archive is in its comment, at the end
of the file. torch does not check the CRC-32 of the archive's members.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from aligncat.errors import ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.grounder.weights import check_tensors
from aligncat.wording import first_line

_COMMENT = re.compile(rb"aligncat sha256 ([0-9a-f]{64})")
_COMMENT_LENGTH = len("aligncat sha256 ") + 64
_NO_COMMENT = struct.pack("<H", 0)  # the last field of a zip archive, the length of its comment
# What torch.load and zipfile raise for damaged files.
_DAMAGE = (
    RuntimeError,
    AssertionError,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    OverflowError,
    MemoryError,
    RecursionError,
    OSError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
# What Lightning reads from a checkpoint, besides the weights.
_KEYS: Mapping[str, type] = {
    "pytorch-lightning_version": str,
    "epoch": int,
    "global_step": int,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "state_dict": dict,
}


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint atomically, with its hash.

    Raises:
        ConfigError: the weights are not finite.
        OSError: the file cannot be written. An existing file of that name is unchanged.
    """
    if not all(torch.isfinite(tensor).all() for tensor in checkpoint["state_dict"].values()):
        raise ConfigError(
            f"{path}: not written, because training has diverged: some weights are not finite; train again with a "
            "smaller training.learning_rate and another --out"
        )
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    archive = buffer.getvalue().removesuffix(_NO_COMMENT)
    comment = f"aligncat sha256 {hashlib.sha256(archive).hexdigest()}".encode()
    write_atomic(path, archive + struct.pack("<H", len(comment)) + comment)


def read_checkpoint(path: Path, expected: Mapping[str, Tensor], remedy: str) -> dict[str, Any]:
    """Read a checkpoint, and check its hash, its parts and its weights. Only tensors and plain data are loaded.

    A checkpoint of an earlier version has no hash. For such a file, the CRC-32 of each member is checked.

    Args:
        path: the file.
        expected: the tensors of the module that is trained, by name.
        remedy: which file to delete, and what happens then.

    Raises:
        ConfigError: the file is missing, is damaged, or is not a checkpoint of this module.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, although the run has a later one; {remedy}")
    try:
        content = path.read_bytes()
        if (damage := _damage(content)) is not None:
            raise ValueError(damage)
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        _check_parts(checkpoint)
    except _DAMAGE as error:
        raise ConfigError(f"{path}: not a checkpoint, or damaged ({first_line(error)}); {remedy}") from error
    check_tensors(checkpoint["state_dict"], expected, str(path), remedy)
    return dict(checkpoint)


def _damage(content: bytes) -> str | None:
    """Return what is wrong with the bytes of a checkpoint, or None."""
    found = _COMMENT.fullmatch(content[-_COMMENT_LENGTH:])
    if found is not None:
        archive = content[: -_COMMENT_LENGTH - len(_NO_COMMENT)]
        return None if hashlib.sha256(archive).hexdigest().encode() == found[1] else "its hash differs from its content"
    with zipfile.ZipFile(io.BytesIO(content)) as archive_file:
        name = archive_file.testzip()
    return None if name is None else f"{name} has another CRC-32"


def _check_parts(checkpoint: object) -> None:
    """Check that Lightning and `read_checkpoint` find what they read.

    Raises:
        TypeError: a part is missing or of another type.
    """
    if not isinstance(checkpoint, dict):
        raise TypeError(f"it contains {type(checkpoint).__name__}")
    for key, kind in _KEYS.items():
        if not isinstance(checkpoint.get(key), kind):
            raise TypeError(f"its {key!r} is missing or not of type {kind.__name__}")
    if not all(isinstance(tensor, Tensor) for tensor in checkpoint["state_dict"].values()):
        raise TypeError("its 'state_dict' has values that are not tensors")


class HashedCheckpoints(TorchCheckpointIO):
    """Writes checkpoints atomically and with a hash, and reads them with all checks.

    Lightning writes to the system's temporary folder first. If that is on another disk, a killed process or a full disk
    can leave an incomplete checkpoint.

    Args:
        expected: the tensors of the module that is trained, by name.
        remedy: which file to delete if a checkpoint is damaged, and what happens then.
    """

    def __init__(self, expected: Mapping[str, Tensor], remedy: str) -> None:
        super().__init__()
        self._expected = expected
        self._remedy = remedy

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write one checkpoint.

        Raises:
            ConfigError: the weights are not finite.
            OSError: the file cannot be written. An existing file of that name is unchanged.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        """Read one checkpoint to the CPU, whatever the arguments.

        Raises:
            ConfigError: the file is damaged.
        """
        return read_checkpoint(Path(path), self._expected, self._remedy)
