"""Settings of training: optimiser, schedule, batches and seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from aligncat.errors import ConfigError

Precision: TypeAlias = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the optimiser, schedule and batches. The defaults are the paper's and QueryMatch's for RefCOCO.

    Attributes:
        epochs: number of epochs. An epoch visits each referent once, with one of its expressions drawn at random, but
            leaves out those that do not fill a batch.
        batch_size: referents per step. The negatives of each come from the images of the other referents.
        learning_rate: learning rate of Adam after the warm-up.
        warmup_epochs: epochs in which the learning rate rises linearly from `warmup_rate`; may be a fraction.
        warmup_rate: learning rate of the first step.
        final_rate: learning rate at the end of the cosine schedule.
        betas: betas of Adam.
        eps: epsilon of Adam.
        clip_norm: largest norm of the gradient; larger gradients are clipped.
        ema_decay: the decay of the averaged weights is min(ema_decay, (step + 1) / (step + 10)). The averaged weights
            are evaluated and saved.
        ranks: split each batch into this many equal parts that share no negatives. On one device, this imitates a
            training on several GPUs that do not exchange negatives. On several devices it must be 1, so that they
            exchange their candidates and each phrase has negatives from the whole batch, or a multiple of their number,
            so that none needs another's.
        devices: the number of GPUs of each node to train on; without a GPU, the number of processes on the CPU. Each
            takes an equal part of every batch.
        nodes: the number of machines. The same command is started once on each (docs/many-devices.md).
        precision: "bfloat16" trains faster: the text encoder computes its matrix products in bfloat16. All scores, the
            negatives, the losses and the weights stay in float32, and so does the trained grounder.
        seed: seed of the initial weights, the drawn expressions, their order and the dropout.
    """

    epochs: int = 25
    batch_size: int = 28
    learning_rate: float = 1e-4
    warmup_epochs: float = 3.0
    warmup_rate: float = 1e-7
    final_rate: float = 1e-6
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-9
    clip_norm: float = 0.15
    ema_decay: float = 0.9997
    ranks: int = 1
    devices: int = 1
    nodes: int = 1
    precision: Precision = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        self._check_rates()
        self._check_batches()

    def _check_rates(self) -> None:
        for name in ("epochs", "learning_rate", "eps", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"training.{name} is {getattr(self, name)}; it must be above 0")
        for name in ("warmup_rate", "final_rate"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"training.{name} is {getattr(self, name)}; it must not be negative")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"training.betas is {self.betas}; each must be in [0, 1)")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise ConfigError(
                f"training.warmup_epochs is {self.warmup_epochs}; it must be at least 0 and below "
                f"training.epochs ({self.epochs})"
            )
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"training.ema_decay is {self.ema_decay}; it must be in [0, 1)")

    @property
    def processes(self) -> int:
        """The number of devices on all nodes, each of which has a process."""
        return self.devices * self.nodes

    def _check_batches(self) -> None:
        if self.precision not in get_args(Precision):
            raise ConfigError(
                f"training.precision is {self.precision!r}; it must be one of {', '.join(get_args(Precision))}"
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"training.seed is {self.seed}; it must be in [0, 2^32)")
        if self.batch_size < 2:
            raise ConfigError(
                f"training.batch_size is {self.batch_size}; it must be at least 2, because the negatives of a referent "
                "come from other images in the batch"
            )
        if self.ranks < 1 or self.batch_size % self.ranks or self.batch_size < 2 * self.ranks:
            raise ConfigError(
                f"training.ranks is {self.ranks}; it must divide training.batch_size ({self.batch_size}) into parts of "
                "at least 2 referents"
            )
        for name in ("devices", "nodes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} is {getattr(self, name)}; it must be at least 1")
        if self.batch_size % self.processes:
            raise ConfigError(
                f"training.devices x training.nodes is {self.processes}; it must divide training.batch_size "
                f"({self.batch_size}), which is that of all devices together"
            )
        if self.ranks > 1 and self.ranks % self.processes:
            raise ConfigError(
                f"training.ranks is {self.ranks} and training.devices x training.nodes is {self.processes}: set "
                f"training.ranks to 1, for negatives from the whole batch, or to a multiple of {self.processes}"
            )
