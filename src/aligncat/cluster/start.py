"""Choose the workers that a command asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aligncat.errors import ConfigError

if TYPE_CHECKING:
    from aligncat.cluster.driver import Driver
    from aligncat.cluster.job import Job

DEADLINE = 3600.0
"""Seconds that a worker has for one task, unless another number is given: far more than a slow machine needs."""


def check_workers(count: int | None, address: str | None, deadline: float) -> None:
    """Check the options about workers, before anything is read or started.

    Args:
        count: the number of workers; None if it is not given.
        address: the Ray cluster; None if it is not given.
        deadline: seconds that a worker has for one task.

    Raises:
        ConfigError: a number is not positive, or there is a deadline but no worker.
    """
    if count is not None and count < 1:
        raise ConfigError(f"--workers {count}: give the number of workers, at least 1")
    if not deadline > 0:
        raise ConfigError(f"--deadline {deadline}: give the seconds that a worker has for one task, more than 0")
    if count is None and address is None and deadline != DEADLINE:
        raise ConfigError(f"--deadline {deadline:g}: is for workers; give --workers or --ray, or leave it out")


def open_driver(
    job: Job, count: int | None, address: str | None, *, deadline: float, accelerator: bool | None = None
) -> Driver:
    """Return the driver of the workers that a command asks for. Use it as a context manager, which ends them.

    Args:
        job: the job.
        count: the number of workers; None for as many as a Ray cluster has room for.
        address: the Ray cluster; None for processes of this machine.
        deadline: seconds that a worker has for one task.
        accelerator: whether a worker needs an accelerator; None if it takes one where the cluster has any.

    Raises:
        ConfigError: a number is not positive, or the cluster cannot be reached.
    """
    check_workers(count, address, deadline)
    from aligncat.cluster.driver import Driver

    if address is not None:
        from aligncat.cluster.ray_workers import RayWorkers

        workers = RayWorkers(job, address, count=count, accelerator=accelerator)
        return Driver(workers, count=workers.count, deadline=deadline)
    from aligncat.cluster.processes import ProcessWorkers

    return Driver(ProcessWorkers(job, count or 1), count=count or 1, deadline=deadline)
