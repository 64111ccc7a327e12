"""What accompanies training: the averaged weights, and validation by those who have the truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, WeightAveraging
from torch import Tensor

from aligncat.batches import Batch
from aligncat.evaluation import Overlaps, score


class AveragedWeights(WeightAveraging):
    """An exponential moving average whose decay rises with the steps to its limit, as QueryMatch has it.

    Args:
        decay: the limit.
    """

    def __init__(self, decay: float) -> None:
        @torch.no_grad()
        def average(averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
            step = int(updates)
            torch._foreach_lerp_(list(averaged), list(current), 1 - min(decay, (step + 1) / (step + 10)))

        super().__init__(use_buffers=False, multi_avg_fn=average)


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
        self._choice[batch.rows.cpu().numpy()] = outputs["choice"].cpu().numpy()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score them."""
        scores = score(self._overlaps, self._choice)
        pl_module.log("val/rec", scores.rec, prog_bar=True)
        if scores.res_miou is not None:
            pl_module.log("val/res", scores.res_miou)
