"""Lightning callbacks: averaged weights, the kept epochs, the progress bar and validation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from aligncat.console import further_columns
from aligncat.grounder.batches import Batch

logger = logging.getLogger(__name__)

Judge: TypeAlias = Callable[[NDArray[np.int64]], tuple[float, float | None]]
"""A function that evaluates the choices for the E expressions of a split, (E,) int64, against the truth.

It returns two means: the REC accuracy, and the RES mIoU or None if the referents have no masks. Training has no other
access to the truth."""


class AveragedWeights(WeightAveraging):
    """An exponential moving average of the weights that starts at the initial weights, as in QueryMatch.

    After step s (counted from 0), the average becomes d × average + (1 - d) × weights, where
    d = min(decay, (s + 1) / (s + 10)).

    Args:
        decay: the upper limit of d.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
            step = int(count) - 1
            update = get_ema_multi_avg_fn(min(decay, (step + 1) / (step + 10)))  # type: ignore[no-untyped-call]
            update(averaged, current, count)

        super().__init__(use_buffers=False, multi_avg_fn=average)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Start the average at the initial weights, which torch would replace at the first step."""
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged.fill_(1)


class EpochCheckpoint(ModelCheckpoint):
    """Keeps one checkpoint file, written at the end of an epoch: of the best epoch or of the last.

    The best and the last epoch need a callback each, because Lightning's `save_last` writes only on a new best.

    Args:
        folder: the folder of the checkpoint.
        name: the file's name without ".ckpt".
        best: keep the epoch with the highest value of this log key; None keeps the last epoch.
    """

    def __init__(self, folder: Path, name: str, *, best: str | None = None) -> None:
        super().__init__(
            folder,
            filename=name,
            monitor=best,
            mode="max",
            enable_version_counter=False,
            save_on_train_epoch_end=True,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best checkpoint's path and score, even if the folder was moved; Lightning would lose them."""

        def in_folder(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else ""

        paths = {
            key: in_folder(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")
        }
        best = {in_folder(path): value for path, value in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": best, "dirpath": self.dirpath})


class ProgressBar(RichProgressBar):
    """Lightning's progress bar, on standard error and without the version number of the log."""

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})

    def configure_columns(self, trainer: pl.Trainer) -> list[Any]:
        """Return the columns of the bar."""
        return [*super().configure_columns(trainer), *further_columns()]

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """Return the values to show after the bar."""
        shown: dict[str, Any] = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown


class EpochLines(Callback):
    """Logs a line for each epoch, where there is no progress bar."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch's number, the mean loss and, with a validation split, val/rec."""
        shown = {"loss": "train/total", "val/rec": "val/rec"}
        found = trainer.callback_metrics
        values = ", ".join(f"{name} {float(found[key]):.4g}" for name, key in shown.items() if key in found)
        logger.info("epoch %d of %d: %s", trainer.current_epoch + 1, trainer.max_epochs, values)


class Validation(Callback):
    """Evaluates the choices after each epoch and logs val/rec, which selects the best epoch, and val/res.

    Training has no access to the truth except for these two means.

    Args:
        judge: evaluates the choices for all expressions.
        expressions: E, the number of expressions in the validation split.
    """

    def __init__(self, judge: Judge, expressions: int) -> None:
        self._judge = judge
        self._choice = np.zeros(expressions, np.int64)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the choices of one batch."""
        self._choice[batch.rows.cpu().numpy()] = outputs.cpu().numpy()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate the choices for the whole split, those of all devices, and log the two means."""
        choice, several = self._choice, trainer.world_size > 1
        if several:
            mine = torch.tensor(choice, device=pl_module.device)  # a copy, which is changed in place
            choice = trainer.strategy.reduce(mine, reduce_op="max").cpu().numpy()  # 0 where it is another device's
        rec, res = self._judge(choice)
        pl_module.log("val/rec", rec, prog_bar=True, sync_dist=several)
        if res is not None:
            pl_module.log("val/res", res, sync_dist=several)
