"""Write and read training checkpoints, and check that one belongs to the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from aligncat.errors import AligncatError, ConfigError
from aligncat.files.torch_files import load_hashed, save_hashed
from aligncat.grounder.weights import check_tensors
from aligncat.wording import first_line

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
    "current_model_state": dict,
    "averaging_state": dict,
}
_WEIGHTS = ("state_dict", "current_model_state")  # the average, and what training goes on with
_SINGLE = ("optimizer_states", "lr_schedulers")
# What Lightning and torch raise for parts that are not what they wrote.
_UNFIT = (LookupError, TypeError, AttributeError, ValueError, AssertionError, RuntimeError)


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint atomically, with its hash.

    Raises:
        ConfigError: the weights are not finite.
        WriteError: the file cannot be written. An existing file of that name is unchanged.
    """
    if not all(torch.isfinite(tensor).all() for tensor in checkpoint["state_dict"].values()):
        raise ConfigError(
            f"{path}: not written, because training has diverged: some weights are not finite; train again with a "
            "smaller training.learning_rate and another --out"
        )
    save_hashed(checkpoint, path)


def read_checkpoint(path: Path, expected: Mapping[str, Tensor], remedy: str) -> dict[str, Any]:
    """Read a checkpoint, and check its hash, its parts and its weights.

    Args:
        path: the file.
        expected: the tensors of the module that is trained, by name.
        remedy: which file to delete, and what happens then.

    Raises:
        ConfigError: the file is missing, is damaged, or is not a checkpoint of this module.
    """
    checkpoint = load_hashed(path, remedy, error=ConfigError)
    if not isinstance(checkpoint, dict):
        raise ConfigError(f"{path}: not a checkpoint; {remedy}")
    for key, kind in _KEYS.items():
        if not isinstance(checkpoint.get(key), kind):
            raise ConfigError(
                f"{path}: not a checkpoint: its {key!r} is missing or not of type {kind.__name__}; {remedy}"
            )
    for key in _SINGLE:
        if len(checkpoint[key]) != 1:
            raise ConfigError(
                f"{path}: not a checkpoint: its {key!r} has {len(checkpoint[key])} states, not 1; {remedy}"
            )
    for key in _WEIGHTS:
        if not all(isinstance(tensor, Tensor) for tensor in checkpoint[key].values()):
            raise ConfigError(f"{path}: not a checkpoint: its {key!r} has values that are not tensors; {remedy}")
        check_tensors(checkpoint[key], expected, str(path), remedy)
    return checkpoint


class Resumption(Callback):
    """Tells errors of restoring a checkpoint, which name the file, from errors of training.

    Args:
        path: the checkpoint from which training resumes; None for a new run.
        remedy: which file to delete if it cannot be restored, and what happens then.
    """

    def __init__(self, path: Path | None, remedy: str) -> None:
        self._path = path
        self._remedy = remedy
        self._restored = path is None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note that everything is restored."""
        self._restored = True

    @contextmanager
    def named_errors(self) -> Iterator[None]:
        """Turn an error of restoring the checkpoint, inside the block, into a ConfigError that names it."""
        try:
            yield
        except (AligncatError, torch.OutOfMemoryError):
            raise
        except _UNFIT as error:
            if self._restored:
                raise
            raise ConfigError(
                f"{self._path}: damaged: not what aligncat writes ({first_line(error)}); {self._remedy}"
            ) from error


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
            WriteError: the file cannot be written. An existing file of that name is unchanged.
        """
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: str | Path, map_location: Any = None, weights_only: bool | None = None) -> Any:
        """Read one checkpoint to the CPU, whatever the arguments.

        Raises:
            ConfigError: the file is damaged.
        """
        return read_checkpoint(Path(path), self._expected, self._remedy)
