"""Workers that are actors of a Ray cluster (extra [ray])."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aligncat.cluster.job import Job
from aligncat.cluster.workers import Died, Done, Event, Failed, Ready
from aligncat.errors import ConfigError
from aligncat.processes import portable_error
from aligncat.wording import first_line

LOCAL = "local"
"""The address that stands for a new cluster on this machine."""
# Ray's least. Tasks and results are far smaller than the 100 kB up to which Ray passes a value without its store.
_LOCAL_STORE_BYTES = 80 * 2**20
_CONNECT_SECONDS = 10.0

logger = logging.getLogger(__name__)


class RayWorkers:
    """`Workers` that are actors of a Ray cluster, each with a processor core, or with an accelerator of its own.

    Ray itself repeats nothing here: the driver does. Neither photos nor candidates pass through Ray's object store.

    Args:
        job: the job. The machines of the cluster must have aligncat, and see the same files.
        address: the cluster: "auto" for the one that this machine belongs to, HOST:PORT, ray://HOST:PORT, or "local"
            for a new one on this machine.
        count: the number of workers; None for as many as the cluster has accelerators, or else processor cores.
        accelerator: whether a worker needs an accelerator; None if it takes one where the cluster has any.

    Raises:
        ConfigError: Ray is not installed, the cluster cannot be reached has no accelerator or no processor core,
            or this process is connected to another cluster.
    """

    def __init__(self, job: Job, address: str, *, count: int | None = None, accelerator: bool | None = None) -> None:
        self._ray = ray = _import_ray()
        self._owns = not ray.is_initialized()
        if self._owns:
            _connect(ray, address, count)
        else:
            _check_connected(ray, address)
        there = ray.cluster_resources()
        cores, accelerators = int(there.get("CPU", 0)), int(there.get("GPU", 0))
        if accelerator and not accelerators:
            self.close()
            raise ConfigError(f"--ray {address}: the cluster has no accelerator; give --device cpu")
        if accelerator is None:
            accelerator = accelerators > 0
        self.count = count or (accelerators if accelerator else cores)
        if not self.count:
            self.close()
            raise ConfigError(
                f"--ray {address}: the cluster has no processor core now; start a machine that has some, or give "
                "--workers"
            )
        # More workers than accelerators share them: on its core, a worker makes masks slower than an accelerator.
        share = 1 / math.ceil(self.count / accelerators) if accelerator else 0
        self._actor = ray.remote(_Actor).options(num_cpus=1, num_gpus=share, max_restarts=0, max_task_retries=0)
        self._job = job
        self._actors: dict[int, Any] = {}
        self._refs: dict[Any, int] = {}  # what the workers are at
        self._starting: set[int] = set()

    def start(self, worker: int) -> None:
        """Start a worker.

        Raises:
            ConfigError: the job cannot be sent to another process.
        """
        try:
            self._actors[worker] = self._actor.remote(self._job, Path.cwd())
        except TypeError as error:
            raise ConfigError(
                f"the work cannot be sent to other machines ({first_line(error)}); give the detector by its name or "
                "folder instead of as an object"
            ) from error
        self._starting.add(worker)
        self._refs[self._actors[worker].start.remote()] = worker

    def send(self, worker: int, task: object) -> None:
        """Give a task to a worker."""
        self._refs[self._actors[worker].work.remote(task)] = worker

    def wait(self, seconds: float) -> Sequence[Event]:
        """Return what has happened."""
        refs = [*self._refs]
        done, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        if not done:
            done, _ = self._ray.wait(refs, num_returns=1, timeout=seconds)
        return [self._event(each) for each in done]

    def stop(self, worker: int) -> None:
        """End a worker at once."""
        self._refs = {ref: other for ref, other in self._refs.items() if other != worker}
        self._starting.discard(worker)
        with suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._actors.pop(worker), no_restart=True)

    def close(self) -> None:
        """End all workers, and leave the cluster; one that was started here ends too."""
        for worker in [*getattr(self, "_actors", {})]:
            self.stop(worker)
        if self._owns:
            self._ray.shutdown()

    def _event(self, ref: Any) -> Event:
        worker = self._refs.pop(ref)
        try:
            value = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:  # not by us: `_Actor` returns the errors of the job
            return Failed(worker, error)
        except self._ray.exceptions.RayError as error:
            logger.debug("worker %s: %s", worker, error)
            self.stop(worker)
            return Died(worker)
        if isinstance(value, Exception):
            return Failed(worker, value)
        if worker in self._starting:
            self._starting.remove(worker)
            return Ready(worker, value)
        return Done(worker, value)


class _Actor:
    """A worker in a process of the cluster."""

    def __init__(self, job: Job, folder: Path) -> None:
        """Keep the job. Relative paths in it are followed from a folder, the working directory of the driver.

        A machine without such a folder can still do a job whose paths are absolute.
        """
        self._job = job
        self._work: Any = None
        with suppress(OSError):
            os.chdir(folder)

    def start(self) -> object:
        """Load what the tasks need; return what the worker says of itself, or the error."""
        try:
            greeting, self._work = self._job.start()
        except Exception as error:
            return portable_error(error)
        return greeting

    def work(self, task: object) -> object:
        """Do a task; return its result, or its error."""
        try:
            return self._work(task)
        except Exception as error:
            return portable_error(error)


def _import_ray() -> Any:
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise ConfigError(
            f"--ray needs Ray ({first_line(error)}); install the extra: pip install 'aligncat[ray]'"
        ) from error
    return ray


def _check_connected(ray: Any, address: str) -> None:
    """Check that the cluster to which this process is connected is the one that is asked for.

    Raises:
        ConfigError: it is another one.
    """
    there = getattr(ray.get_runtime_context(), "gcs_address", "unknown")  # which Ray's client does not tell
    if address not in ("auto", there):
        raise ConfigError(
            f"--ray {address}: this process is connected to the Ray cluster at {there} already; give auto to use that "
            "one, or call ray.shutdown() first"
        )


def _connect(ray: Any, address: str, count: int | None) -> None:
    """Connect to a cluster, or start one on this machine.

    Raises:
        ConfigError: the cluster cannot be reached.
    """
    quiet = {"include_dashboard": False} if address == LOCAL else {}
    own = {"num_cpus": count, "object_store_memory": _LOCAL_STORE_BYTES} if address == LOCAL else {}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        if address not in (LOCAL, "auto"):  # Ray itself would wait for many minutes
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **quiet, **own)
    except Exception as error:  # Ray raises bare ones too
        raise ConfigError(
            f"--ray {address}: no Ray cluster can be reached there ({first_line(error)}); start one with `ray start "
            "--head`, or give local for one on this machine"
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts its own in place, which does not give up files
