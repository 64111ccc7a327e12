"""The worker processes of a study: every way in which a worker can fail is an error in the parent, and never a hang."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from aligncat.datasets.config import DataConfig
from aligncat.errors import AligncatError
from aligncat.studies.runs import LoadedInputs, StudyInputs
from aligncat.studies.workers import work_all

if TYPE_CHECKING:
    from collections.abc import Callable

KILLED = "a worker process was killed"


class TwoArgumentsError(Exception):
    """An error that can be pickled but not unpickled."""

    def __init__(self, text: str, other: str) -> None:
        super().__init__(text)
        self.other = other


class HoldsAFunctionError(Exception):
    """An error that cannot be pickled."""

    def __init__(self) -> None:
        super().__init__("no pickle")
        self.function = lambda: None


@dataclass(frozen=True)
class FakeRun:
    """A run that calls a function in the worker."""

    name: str
    call: Callable[[], object]

    def work(self, _: LoadedInputs) -> None:
        self.call()


class DiesWhenReceived:
    """An object that ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def two_arguments() -> None:
    raise TwoArgumentsError("no unpickle", "other")


def holds_a_function() -> None:
    raise HoldsAFunctionError


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def work(*calls: Callable[[], object], detector_images: Any = None) -> None:
    """Run fake runs in one worker process each."""
    inputs = StudyInputs(DataConfig(Path("none"), "refcoco"), {}, (), None, detector_images, None)
    loaded = LoadedInputs(inputs)
    loaded._splits["train"] = type("NoExpressions", (), {"expressions": ()})()
    runs = [FakeRun(f"run {number}", call) for number, call in enumerate(calls)]
    work_all(runs, loaded, len(runs), threads=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "message"),
    [(two_arguments, "TwoArgumentsError: no unpickle"), (holds_a_function, "HoldsAFunctionError: no pickle")],
)
def test_an_error_that_cannot_be_pickled_is_described_with_its_traceback(
    call: Callable[[], object], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message) as raised:
        work(call)
    assert call.__name__ in raised.value.__notes__[0]


def test_a_worker_that_is_killed_at_work_is_a_plain_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AligncatError, match=KILLED):
        work(kill, int)
    assert "run 1" in capfd.readouterr().err, "the other run ended first"


def test_workers_that_die_before_they_receive_a_run_are_a_plain_error() -> None:
    with pytest.raises(AligncatError, match=KILLED):
        work(int, int, detector_images=DiesWhenReceived())
