"""Choose the workers that a command asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aligncat.errors import ConfigError

if TYPE_CHECKING:
    from aligncat.cluster.job import Job
    from aligncat.cluster.workers import Workers

DEADLINE = 3600.0
"""Seconds that a worker has for one task, unless another number is given: far more than a slow machine needs."""


class Chosen(NamedTuple):
    """Workers, and how many to start.

    Attributes:
        workers: the workers, of which none has been started.
        number: the most to start.
    """

    workers: Workers
    number: int


def start_workers(job: Job, count: int | None, address: str | None, *, accelerator: bool | None = None) -> Chosen:
    """Return the workers that a command asks for.

    Args:
        job: the job.
        count: the number of workers; None for as many as a Ray cluster has room for.
        address: the Ray cluster; None for processes of this machine.
        accelerator: whether a worker needs an accelerator; None if it takes one where the cluster has any.

    Raises:
        ConfigError: the number is not positive, or the cluster cannot be reached.
    """
    if count is not None and count < 1:
        raise ConfigError(f"--workers {count}: give the number of workers, at least 1")
    if address is not None:
        from aligncat.cluster.ray_workers import RayWorkers

        workers = RayWorkers(job, address, count=count, accelerator=accelerator)
        return Chosen(workers, workers.count)
    from aligncat.cluster.processes import ProcessWorkers

    return Chosen(ProcessWorkers(job, count or 1), count or 1)
