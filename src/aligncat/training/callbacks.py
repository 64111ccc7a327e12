"""What accompanies training: averaged weights, checkpoints, and validation by those who have the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, ModelCheckpoint, RichProgressBar, WeightAveraging
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from aligncat.evaluation.metrics import measure
from aligncat.evaluation.overlaps import Overlaps
from aligncat.grounder.batches import Batch


class AveragedWeights(WeightAveraging):
    """An exponential moving average that starts at the initial weights, as QueryMatch has it.

    After step s (from 0) it is d × itself + (1 - d) × the weights, with d = min(decay, (s + 1) / (s + 10)).

    Args:
        decay: the limit.
    """

    def __init__(self, decay: float) -> None:
        def average(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
            step = int(count) - 1
            update = get_ema_multi_avg_fn(min(decay, (step + 1) / (step + 10)))  # type: ignore[no-untyped-call]
            update(averaged, current, count)

        super().__init__(use_buffers=False, multi_avg_fn=average)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Count the initial weights as the first of the average: torch would drop them at the first step."""
        super().setup(trainer, pl_module, stage)
        if self._average_model is not None:
            self._average_model.n_averaged.fill_(1)


class EpochCheckpoint(ModelCheckpoint):
    """One checkpoint file, written at the ends of epochs.

    Best and last need one each: Lightning's own `save_last` writes only when there is a new best.

    Args:
        folder: where it goes.
        name: without ".ckpt".
        best: the log's key whose highest value it keeps; None for the last epoch.
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
        """Find the best again also when the folder was moved meanwhile; Lightning would forget its score."""

        def here(path: str) -> str:
            return str(Path(str(self.dirpath), Path(path).name)) if path else ""

        paths = {key: here(state_dict[key]) for key in ("best_model_path", "kth_best_model_path", "last_model_path")}
        best = {here(path): value for path, value in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": best, "dirpath": self.dirpath})


class ProgressBar(RichProgressBar):
    """On stderr, without the number that Lightning gives the log."""

    def __init__(self) -> None:
        super().__init__(console_kwargs={"stderr": True})

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        """What stands behind the bar."""
        shown: dict[str, Any] = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown


class ValidationScores(Callback):
    """Scores the choices of each validation epoch and logs val/rec and val/res.

    It holds the truth, as a table of overlaps; the module that learns is only ever given two means, in the log,
    by which the best epoch is told.

    Args:
        overlaps: of the validation split.
    """

    def __init__(self, overlaps: Overlaps) -> None:
        self._overlaps = overlaps
        self._choice = np.zeros(len(overlaps), np.int64)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the choices."""
        self._choice[batch.rows.cpu().numpy()] = outputs.cpu().numpy()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score them."""
        metrics = measure(self._overlaps, self._choice)
        pl_module.log("val/rec", metrics.rec, prog_bar=True)
        if metrics.res_miou is not None:
            pl_module.log("val/res", metrics.res_miou)
