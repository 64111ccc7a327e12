"""The machines that train together: which one this is, how Lightning runs there, and that all train the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.environments import (  # type: ignore[attr-defined]
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from pytorch_lightning.strategies import DDPStrategy

from aligncat.errors import ConfigError
from aligncat.files.differences import differences
from aligncat.training.config import TrainingConfig
from aligncat.wording import first_line

TIMEOUT = timedelta(minutes=10)  # how long a device waits for another, for instance at the start


@dataclass(frozen=True)
class Node:
    """This machine among those that train together.

    Attributes:
        rank: its number, from 0. Node 0 writes the grounder.
        address: the address of node 0.
        port: the port at which node 0 can be reached.
    """

    rank: int = 0
    address: str = "127.0.0.1"
    port: int = 0

    @property
    def leads(self) -> bool:
        """Whether this node writes the grounder."""
        return self.rank == 0

    @classmethod
    def of(cls, training: TrainingConfig) -> Self:
        """Return this machine, as torchrun, srun or the environment variables NODE_RANK and MASTER_* describe it.

        Raises:
            ConfigError: the command was not started once on each of `training.nodes` machines, or this machine has
                fewer GPUs than `training.devices`.
        """
        if torch.cuda.is_available() and training.devices > torch.cuda.device_count():
            raise ConfigError(
                f"training.devices is {training.devices} and this machine has {torch.cuda.device_count()} GPUs"
            )
        started = _started()
        if started not in (None, training.nodes):
            raise ConfigError(
                f"training.nodes is {training.nodes} and the command was started {started} times: start it once on "
                "each node (torchrun --nproc-per-node 1, srun --ntasks-per-node 1); it starts the processes of "
                "--training.devices itself"
            )
        if training.nodes == 1:
            return cls()
        if TorchElasticEnvironment.detect():
            found: LightningEnvironment | SLURMEnvironment | TorchElasticEnvironment = TorchElasticEnvironment()
        elif SLURMEnvironment.detect():
            found = SLURMEnvironment()
        else:
            found = LightningEnvironment()
            if missing := [name for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]:
                raise ConfigError(
                    f"training.nodes is {training.nodes} and {', '.join(missing)} not set: start the command with "
                    "torchrun or srun, or set these environment variables on each node"
                )
        try:
            node = cls(found.node_rank(), found.main_address, found.main_port)
        except ValueError as error:
            raise ConfigError(f"NODE_RANK and MASTER_PORT must be whole numbers ({first_line(error)})") from error
        if not 0 <= node.rank < training.nodes:
            raise ConfigError(f"NODE_RANK is {node.rank}; with training.nodes {training.nodes} it must be below that")
        return node


ONLY_NODE = Node()


def _started() -> int | None:
    """Return how often torchrun or srun started the command; None if it was neither of them."""
    names = ("WORLD_SIZE",) if TorchElasticEnvironment.detect() else ("SLURM_STEP_NUM_TASKS",)
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), None)


def trainer_settings(training: TrainingConfig, *, all_used: bool) -> dict[str, Any]:
    """Return the arguments of Lightning's trainer that say where it runs.

    Args:
        training: the number of devices and nodes.
        all_used: whether each weight of the model has a part in the loss.
    """
    if training.processes == 1:
        return {"devices": 1}
    return {
        "accelerator": "cuda" if torch.cuda.is_available() else "cpu",
        "devices": training.devices,
        "num_nodes": training.nodes,
        "strategy": DDPStrategy(
            cluster_environment=LightningEnvironment(), find_unused_parameters=not all_used, timeout=TIMEOUT
        ),
        "use_distributed_sampler": False,  # the data gives each device its part
    }


class Agreement(Callback):
    """Checks that all processes train the same: another seed on one node would silently spoil the training.

    Args:
        settings: what must be equal everywhere.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Compare the settings of all processes.

        Raises:
            ConfigError: they differ, in every process.
        """
        if trainer.world_size == 1:
            return
        everyones: list[Any] = [None] * trainer.world_size
        torch.distributed.all_gather_object(everyones, self._settings)
        for rank, each in enumerate(everyones):
            if found := [f"{key} is {a!r} there and {b!r} here" for key, a, b in differences(each, everyones[0])]:
                raise ConfigError(
                    f"node {rank // trainer.num_devices} trains something else than node 0 (here): {'; '.join(found)}. "
                    "Start the same command with the same files on all nodes, and --out on a disk that they share"
                )
