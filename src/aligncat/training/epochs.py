"""The epochs of a training: Lightning's loop with its checkpoints, its logs, and its progress."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

from aligncat.datasets.split import Split
from aligncat.files.hashes import file_sha256
from aligncat.quiet import quiet_lightning
from aligncat.signals import lightning_interrupts
from aligncat.training.callbacks import (
    AveragedWeights,
    EpochCheckpoint,
    EpochLines,
    Judge,
    ProgressBar,
    Validation,
)
from aligncat.training.checkpoints import HashedCheckpoints, Resumption, read_checkpoint
from aligncat.training.config import TrainingConfig
from aligncat.training.data import GroundingData
from aligncat.training.module import GroundingModule
from aligncat.training.nodes import Agreement, trainer_settings


@dataclass(frozen=True)
class ValidationSplit:
    """The split that selects the best epoch and calibrates the grounder.

    Attributes:
        split: its expressions that select the best epoch, without boxes or masks.
        judge: evaluates the choices for these expressions.
        texts: its expressions that calibrate the grounder; whether their boxes can be read changes nothing.
    """

    split: Split
    judge: Judge
    texts: Split


def run_epochs_of_device(module: GroundingModule, *arguments: Any) -> Path:
    """Train in the process of one device, with its own weights instead of those in shared memory; see `run_epochs`."""
    return run_epochs(copy.deepcopy(module), *arguments)


def run_epochs(  # noqa: PLR0917 - the arguments are sent to other processes
    module: GroundingModule,
    batches: GroundingData,
    training: TrainingConfig,
    folder: Path,
    validation: ValidationSplit | None,
    settings: Mapping[str, Any],
    progress: bool,
) -> Path:
    """Train or resume training, and return the checkpoint to keep: the best one, or the last one without validation.

    Args:
        module: the model and its optimiser; its weights are trained in place.
        batches: the examples.
        training: settings of the optimiser, schedule and batches.
        folder: the folder of checkpoints and logs.
        validation: the split that selects the best epoch.
        settings: what several processes compare, so that all train the same.
        progress: show a progress bar on a terminal.
    """
    callbacks: list[Callback] = [AveragedWeights(training.ema_decay)]
    if validation is not None:
        callbacks += [
            Validation(validation.judge, len(validation.split.expressions)),
            EpochCheckpoint(folder, "best", best="val/rec"),
        ]
    callbacks.append(EpochCheckpoint(folder, "last"))  # after "best", whose score it stores
    shows_bar = progress and sys.stderr.isatty()
    callbacks.append(ProgressBar() if shows_bar else EpochLines())
    best, last = folder / "best.ckpt", folder / "last.ckpt"
    expected, remedy = module.state_dict(), remedy_of(folder)
    resumption = Resumption(last if last.exists() else None, remedy)
    if training.processes > 1:
        resumed = {"resumes": file_sha256(last) if last.exists() else None}
        callbacks.append(Agreement({**settings, **resumed, "versions": None}))
    callbacks.append(resumption)
    if validation is not None and last.exists():
        # Otherwise a damaged file of the best epoch would be found only at the end.
        read_checkpoint(best, expected, remedy)
    with quiet_lightning(), _deterministic():
        trainer = pl.Trainer(
            max_epochs=training.epochs,
            callbacks=callbacks,
            # Each start of the command writes its own CSV file, because Lightning would empty an existing one.
            logger=[
                CSVLogger(folder, name="csv", flush_logs_every_n_steps=1),
                TensorBoardLogger(folder, name="", version="tensorboard"),
            ],
            plugins=[HashedCheckpoints(expected, remedy)],
            gradient_clip_val=training.clip_norm,
            num_sanity_val_steps=0,
            enable_progress_bar=shows_bar,
            enable_model_summary=False,
            deterministic=True,
            **trainer_settings(training, all_used=module.model.config.alignment.context_without is None),
        )
        with lightning_interrupts(trainer, "after the last whole epoch"), resumption.named_errors():
            trainer.fit(module, batches, ckpt_path=last if last.exists() else None, weights_only=True)
    return last if validation is None else best


def remedy_of(folder: Path) -> str:
    """Return what to do about a damaged checkpoint. Without that of the last epoch, training writes both anew."""
    return f"delete {folder / 'last.ckpt'}, and the same command starts again from the first epoch"


@contextmanager
def _deterministic() -> Iterator[None]:
    """Restore the global settings of torch that Lightning's `deterministic` changes.

    In deterministic mode, torch also fills new tensors before use. Here that is switched off, because it takes a tenth
    of the time of a step and has no benefit.
    """
    memory: Any = torch.utils.deterministic
    deterministic, filled = torch.are_deterministic_algorithms_enabled(), memory.fill_uninitialized_memory
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = filled
