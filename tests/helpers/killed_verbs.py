"""Runs verbs in forks of a process that has imported aligncat once, and kills them at a given file-system event.

Run as a script, it reads one JSON request per line from standard input and answers each with one line. The workers of a
study import the script anew, see `_watch_worker`.
"""

from __future__ import annotations

import json
import os
import pkgutil
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
WORKER = "ALIGNCAT_TESTS_KILL_WORKER"  # the environment variable that has the request for the workers of a study
FOLDER_AT = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 2, "os.link": 2}


@dataclass(frozen=True)
class Ended:
    """How a verb ended.

    Attributes:
        status: its exit status, negative for a signal.
        events: the number of changes that were counted, that of the kill included.
        output: what it printed.
    """

    status: int
    events: int
    output: str


@dataclass(frozen=True)
class Request:
    """A verb to run, and what disturbs it.

    Attributes:
        words: the command line.
        under: only changes below this folder count.
        kill_at: the number of the change before which the process is killed; None for never.
        only: only changes whose paths, old or new, have this text count.
        torn: only the opening of a file for writing counts, and the file is opened, and so emptied, before the kill.
        worker: the changes of a study's workers count, and one of them is killed, instead of the verb's own process.
        signal_number: the signal that kills it.
        file_limit: the most bytes that a file may get, as on a full disk.
    """

    words: Sequence[str]
    under: str
    kill_at: int | None = None
    only: str = ""
    torn: bool = False
    worker: bool = False
    signal_number: int = signal.SIGKILL
    file_limit: int | None = None


class Runner:
    """The process that forks."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, request: Request) -> Ended:
        """Run a verb to its end."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(request)) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


@contextmanager
def runner() -> Iterator[Runner]:
    """Start the process that forks."""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root / 'tests'}", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield Runner(process)
        assert process.stdin is not None
        process.stdin.close()


def _import_everything() -> None:
    import aligncat

    for module in pkgutil.walk_packages(aligncat.__path__, "aligncat."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in ("jsonargparse", "matplotlib.pyplot", "torch.utils.tensorboard", "pytorch_lightning.loggers"):
        import_module(name)
    from transformers import Mask2FormerForUniversalSegmentation, SwinConfig  # noqa: F401


def _make_models_tiny() -> None:
    """Replace the released architectures of Mask2Former, and the sizes of the quickstart, by tiny ones."""
    from aligncat.checkpoints.mask2former.architectures import ARCHITECTURES
    from aligncat.commands import quickstart
    from aligncat.grounder.writers import part
    from helpers.tiny_original import TINY

    ARCHITECTURES["swin-tiny"] = ARCHITECTURES["swin-base"] = TINY["swin"]
    quickstart.SCENES = {"train": 30, "val": 2, "test": 3}
    quickstart.EPOCHS = quickstart.PICTURES = 1
    part.PART = 1


def _path(event: str, arguments: tuple[Any, ...]) -> str | None:
    """Return the path that a change is about."""
    path = arguments[0]
    if isinstance(path, int) or path is None:
        return None
    text = os.fsdecode(path)
    at = FOLDER_AT.get(event)
    if at is not None and not text.startswith("/") and arguments[at] >= 0:  # shutil.rmtree removes in this way
        return f"{Path(f'/proc/self/fd/{arguments[at]}').readlink()}/{text}"
    return str(Path(text).absolute())


def watch(request: Request, counted: int | None = None) -> None:
    """Count the changes of this process to files and folders, and kill it at one of them.

    Args:
        request: which changes count, and which is the last.
        counted: a file descriptor that receives one byte per change, or None.
    """
    count = 0
    dying = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count, dying
        if dying or event not in CHANGES or (event == "open" and not arguments[2] & WRITING):
            return
        if request.torn and event != "open":
            return
        path = _path(event, arguments)
        if path is None or not path.startswith(f"{request.under}/"):
            return
        if request.torn and Path(path).is_dir():  # a file without a name, of which nothing can be left
            return
        if request.only and not any(request.only in str(each) for each in (path, *arguments)):
            return
        count += 1
        if counted is not None:
            os.write(counted, b".")
        if count == request.kill_at:
            if request.torn:
                dying = True
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
            os.kill(os.getpid(), request.signal_number)

    sys.addaudithook(hook)


def _watch_worker() -> None:
    """Watch this process if it is a study's worker and the request is about workers."""
    if __name__ == "__mp_main__" and WORKER in os.environ:
        values = json.loads(os.environ[WORKER])
        watch(Request(**values["request"]), os.open(values["counted"], os.O_WRONLY | os.O_APPEND))


def _run(request: Request, output: int, counted: str) -> int:
    from aligncat.cli import main

    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    if request.file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.file_limit, resource.RLIM_INFINITY))
    if request.worker:
        os.environ[WORKER] = json.dumps({"request": asdict(request), "counted": counted})
    else:
        watch(request, os.open(counted, os.O_WRONLY | os.O_APPEND))
    try:
        status = main(request.words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _serve() -> None:
    for line in sys.stdin:
        output, their_output = os.pipe()
        with tempfile.NamedTemporaryFile() as counted:
            pid = os.fork()
            if pid == 0:
                os.close(output)
                os._exit(_run(Request(**json.loads(line)), their_output, counted.name))
            os.close(their_output)
            with os.fdopen(output, errors="replace") as printed:
                text = printed.read()  # until the verb and its workers have ended
            _, status = os.waitpid(pid, 0)
            events = Path(counted.name).stat().st_size
        print(json.dumps([os.waitstatus_to_exitcode(status), events, text]), flush=True)


_watch_worker()
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _import_everything()
    _make_models_tiny()
    _serve()
