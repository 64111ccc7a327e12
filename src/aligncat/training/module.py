"""The Lightning module: training step, validation step, optimiser and learning rate schedule."""

from __future__ import annotations

import math

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from aligncat.alignment.losses import ALONE, Peers
from aligncat.alignment.result import Alignment
from aligncat.grounder.batches import Batch
from aligncat.grounder.model import GroundingModel
from aligncat.training.config import TrainingConfig


class GroundingModule(pl.LightningModule):
    """Trains a grounding model from candidates and expressions only, without boxes or masks of referents.

    Args:
        model: the model to train.
        config: the training settings.
        steps_per_epoch: optimiser steps per epoch.
    """

    def __init__(self, model: GroundingModel, config: TrainingConfig, steps_per_epoch: int) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.steps_per_epoch = steps_per_epoch

    def on_train_epoch_start(self) -> None:
        """Seed the dropout with rank, seed and epoch, so that a resumed run equals an uninterrupted one."""
        torch.manual_seed((self.global_rank << 52) + (self.config.seed << 20) + self.current_epoch)

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the loss of one batch (Eq. 19)."""
        alignment: Alignment = self.model(
            batch.images,
            batch.tokens,
            batch.labels,
            text_dtype=torch.bfloat16 if self.config.precision == "bfloat16" else torch.float32,
        )
        processes = self.config.processes
        shared = processes > 1 and self.config.ranks == 1
        peers = Peers(self.global_rank, self._gather) if shared else ALONE
        ranks = max(self.config.ranks // processes, 1)
        pairs = zip(alignment.chunks(ranks), batch.chunks(ranks), strict=True)
        parts = [
            self.model.alignment.losses(each, part.images.valid, part.image_index, part.labels, peers)
            for each, part in pairs
        ]
        losses = {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        means = {f"train/{name}": loss.detach() for name, loss in losses.items()}
        self.log_dict(means, on_step=False, on_epoch=True, batch_size=len(batch.rows), sync_dist=processes > 1)
        return losses["total"]

    def _gather(self, tensor: Tensor) -> Tensor:
        """Return the (n, ...) tensors of all devices as (devices n, ...), through which gradients flow back."""
        numbers = tensor.byte() if tensor.dtype == torch.bool else tensor  # gloo gathers no truth values
        found = self.all_gather(numbers, sync_grads=tensor.requires_grad)
        assert isinstance(found, Tensor)
        return found.flatten(0, 1).to(tensor.dtype)

    def validation_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Return the choices for one batch, (B,) int64. The callback `Validation` evaluates them."""
        choice: Tensor = self.model(batch.images, batch.tokens).choice
        return choice

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return Adam and a schedule per step: linear warm-up, then cosine."""
        config = self.config
        optimizer = torch.optim.Adam(
            self.parameters(), lr=config.learning_rate, betas=config.betas, eps=config.eps, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(step, config, self.steps_per_epoch) / config.learning_rate
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def learning_rate(step: int, config: TrainingConfig, steps_per_epoch: int) -> float:
    """Return the learning rate of a step: linear warm-up from `warmup_rate`, then a cosine to `final_rate`.

    Args:
        step: the step, counted from 0.
        config: the rates and epochs.
        steps_per_epoch: optimiser steps per epoch.
    """
    warmup = round(config.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return config.warmup_rate + (config.learning_rate - config.warmup_rate) * step / warmup
    progress = min(1.0, (step - warmup) / max(1, config.epochs * steps_per_epoch - warmup))
    return config.final_rate + (config.learning_rate - config.final_rate) * (1 + math.cos(math.pi * progress)) / 2
