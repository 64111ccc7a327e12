"""The loop of a detector's training, with Lightning: a number of steps, from the last saved state if there is one."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from aligncat.console import progress_bar
from aligncat.detectors.training.examples import Example
from aligncat.detectors.training.recipe import Optimisation
from aligncat.errors import DetectorError
from aligncat.files.torch_files import load_hashed, save_hashed
from aligncat.quiet import quiet_lightning
from aligncat.signals import ignore_stop_signals, lightning_interrupts

logger = logging.getLogger(__name__)

Examples = Callable[[int, int], "Dataset[Example]"]
"""A function that returns the examples of a training, given the number of the first one and how many."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A number of steps of one training.

    Attributes:
        title: its name, for the progress bar and messages.
        examples: returns its examples.
        steps: the numbers of its steps. Step s reads the examples from s x batch_size on.
        batch_size: examples per step.
        optimisation: how the weights are optimised.
        identity: what decides its result, as plain data. A state with another identity is not resumed.
        state_file: the file of the last saved state.
        save_every: steps between saved states.
        device: the device that it runs on.
        after: is called with the number of steps that are done, the average of the weights, and what is kept, before
            the state is saved; its result is kept in the state, and given to it again. So what is kept always belongs
            to the steps that the state has, also if a repeated step does not give the same bits, as on a GPU.
    """

    title: str
    examples: Examples
    steps: range
    batch_size: int
    optimisation: Optimisation
    identity: dict[str, Any]
    state_file: Path
    save_every: int
    device: str = "cpu"
    after: Callable[[int, nn.Module, dict[str, Any]], dict[str, Any]] = lambda done, average, kept: kept


def train_steps(
    model: nn.Module, loss_of: Callable[[Sequence[Example]], Tensor], phase: Phase
) -> tuple[nn.Module, dict[str, Any]]:
    """Train a model and return the average of its weights, and what `Phase.after` kept.

    A training that is interrupted at any moment and run again gives the same bits on the same machine.

    Args:
        model: the model; its weights are trained in place.
        loss_of: the loss of a batch.
        phase: the steps.

    Raises:
        DetectorError: a gradient is not finite, or the saved state is damaged or belongs to another training.
        WriteError: the state cannot be saved.
        KeyboardInterrupt: on Ctrl-C, after a log line that says how to resume.
    """
    module = _Steps(model, loss_of, phase)
    if module.done < len(phase.steps):
        kind, _, number = phase.device.partition(":")
        with quiet_lightning(), module.progress:
            trainer = pl.Trainer(
                accelerator={"cuda": "gpu"}.get(kind, kind),
                devices=[int(number)] if number else 1,
                max_epochs=1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
            with lightning_interrupts(trainer, "after the last saved step"):
                trainer.fit(module)
    return module.average.module, module.kept


class _Steps(pl.LightningModule):
    """The steps that are left."""

    def __init__(self, model: nn.Module, loss_of: Callable[[Sequence[Example]], Tensor], phase: Phase) -> None:
        super().__init__()
        self.trained = model.train().to(phase.device)
        self.average = AveragedModel(model, use_buffers=True, multi_avg_fn=self._update)
        self.progress: Progress = progress_bar(
            MofNCompleteColumn(), TextColumn("{task.fields[loss]}"), TimeRemainingColumn()
        )
        self._loss_of, self._phase = loss_of, phase
        settings = phase.optimisation
        decayed = [weight for weight in model.parameters() if weight.ndim > 1]
        plain = [weight for weight in model.parameters() if weight.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, partial(_rate, warmup=settings.warmup, steps=len(phase.steps))
        )
        self._parts: dict[str, Any] = {
            "model": model,
            "average": self.average,
            "optimizer": self._optimizer,
            "schedule": self._schedule,
        }
        self.kept: dict[str, Any] = {}
        self.done = self._restore()
        self._task = self.progress.add_task(phase.title, total=len(phase.steps), completed=self.done, loss="")

    def _update(self, averaged: Any, current: Any, count: Tensor | int) -> None:
        """Update the average. AveragedModel copies the first weights itself, and then counts from 1."""
        step = int(count)
        decay = min(self._phase.optimisation.ema, (step + 1) / (step + 10))
        get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call]

    def train_dataloader(self) -> Iterable[bytes]:
        """Return the batches that are left, pickled.

        As bytes, batches come through a pipe. Tensors would come through shared memory, of which a container may have
        too little; DataLoader then waits for ever.
        """
        size = self._phase.batch_size
        first = (self._phase.steps.start + self.done) * size
        examples = self._phase.examples(first, (len(self._phase.steps) - self.done) * size)
        return DataLoader(
            examples,
            size,
            num_workers=1,
            prefetch_factor=8,
            collate_fn=pickle.dumps,
            multiprocessing_context="fork",
            worker_init_fn=ignore_stop_signals,
        )

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule, which advances with every step."""
        return {"optimizer": self._optimizer, "lr_scheduler": {"scheduler": self._schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Unpickle a batch and move it. Lightning's own method would look at every byte."""
        return [
            Example(each.pixels.to(device), each.masks.to(device), each.classes.to(device))
            for each in pickle.loads(batch)
        ]

    def training_step(self, examples: Sequence[Example]) -> Tensor:
        """Return the loss of a batch. It samples points at random, so it is seeded in every step."""
        torch.manual_seed((self._phase.optimisation.seed << 32) + self._phase.steps.start + self.done)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._phase.optimisation.bfloat16):
            return self._loss_of(examples)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient, and stop if it is not finite."""
        norm = torch.nn.utils.clip_grad_norm_(self.trained.parameters(), self._phase.optimisation.clip)
        if not torch.isfinite(norm):
            raise DetectorError(
                f"{self._phase.title}: the gradient of step {self.done + 1} is not finite; remove "
                f"{self._phase.state_file.name} if it exists, and start over with smaller learning rates"
            )

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Average the weights, measure and save."""
        self.average.update_parameters(self.trained)
        self.done += 1
        loss, count = float(outputs["loss"]), len(self._phase.steps)
        self.progress.update(self._task, advance=1, loss=f"loss {loss:.2f}")
        if self.done % 50 == 0:
            logger.info("%s: step %d of %d, loss %.3f", self._phase.title, self.done, count, loss)
        self.kept = self._phase.after(self.done, self.average.module, self.kept)
        if self.done % self._phase.save_every == 0 or self.done == count:
            self._save()

    def _restore(self) -> int:
        """Load the saved state, if there is one, and return the number of steps that are done."""
        file = self._phase.state_file
        if not file.exists():
            return 0
        remedy = "remove the file, and the same command starts again"
        state: Any = load_hashed(file, remedy, error=DetectorError)
        if not isinstance(state, dict) or not {"step", "recipe", "kept", *self._parts} <= state.keys():
            raise DetectorError(f"{file}: not the state of a training; {remedy}")
        if state["recipe"] != self._phase.identity:
            differing = sorted(
                key
                for key in {*state["recipe"], *self._phase.identity}
                if state["recipe"].get(key) != self._phase.identity.get(key)
            )
            raise DetectorError(
                f"{file}: belongs to another recipe (it differs in {', '.join(differing)}); give that recipe again, "
                "choose another --out, or remove the file"
            )
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self.kept = state["kept"]
        logger.info("resuming at step %d", state["step"])
        return int(state["step"])

    def _save(self) -> None:
        states = {name: part.state_dict() for name, part in self._parts.items()}
        state = {"step": self.done, "recipe": self._phase.identity, "kept": self.kept, **states}
        save_hashed(state, self._phase.state_file)


def _rate(step: int, *, warmup: int, steps: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / max(1, steps - warmup))))
