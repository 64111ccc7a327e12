"""Runs verbs in forks of a process that has imported aligncat once, and kills them at a given file-system event.

Run as a script, it reads one JSON request per line from standard input and answers each with one line.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate")
FOLDER_AT = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 2, "os.link": 2}


@dataclass(frozen=True)
class Ended:
    """How a verb ended.

    Attributes:
        status: its exit status, negative for a signal.
        events: the number of changes that it made to files and folders; 0 if it was killed.
        output: what it printed.
    """

    status: int
    events: int
    output: str


class Runner:
    """The process that forks."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log

    def run(
        self,
        words: Sequence[str],
        under: Path,
        kill_at: int | None = None,
        *,
        torn: bool = False,
        signal_number: int = 9,
    ) -> Ended:
        """Run a verb.

        Args:
            words: the command line.
            under: only changes below this folder count.
            kill_at: the number of the change before which the process is killed; None for never.
            torn: if that change opens a file for writing, it is opened, and so emptied, before the kill.
            signal_number: the signal that kills it.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        request = [list(words), str(under), kill_at, torn, signal_number, str(self._log)]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        status, events = json.loads(self._process.stdout.readline())
        return Ended(status, events, self._log.read_text(errors="replace"))


@contextmanager
def runner(log: Path) -> Iterator[Runner]:
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
        yield Runner(process, log)
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
    from aligncat.mojiref.build import MojiRefConfig
    from helpers.tiny_original import TINY

    ARCHITECTURES["swin-tiny"] = ARCHITECTURES["swin-base"] = TINY["swin"]
    quickstart.SIZE, quickstart.EPOCHS, quickstart.PICTURES = MojiRefConfig(train=6, val=2, test=3), 1, 1


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


def watch(under: str, kill_at: int | None, torn: bool, signal_number: int) -> list[int]:
    count = [0]
    dying = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal dying
        if dying or event not in CHANGES or (event == "open" and not arguments[2] & WRITING):
            return
        path = _path(event, arguments)
        if path is None or not path.startswith(under + "/"):
            return
        count[0] += 1
        if count[0] == kill_at:
            if torn and event == "open":
                dying = True
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
            os.kill(os.getpid(), signal_number)

    sys.addaudithook(hook)
    return count


def _run(words: list[str], under: str, kill_at: int | None, torn: bool, signal_number: int, log: str, pipe: int) -> int:
    from aligncat.cli import main

    with Path(log).open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    count = watch(under, kill_at, torn, signal_number)
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(pipe, b"%d" % count[0])
    return status


def _serve() -> None:
    for line in sys.stdin:
        words, under, kill_at, torn, signal_number, log = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os._exit(_run(words, under, kill_at, torn, signal_number, log, writing))
        os.close(writing)
        with os.fdopen(reading) as pipe:
            events = int(pipe.read() or 0)
        _, status = os.waitpid(pid, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), events]), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _import_everything()
    _make_models_tiny()
    _serve()
