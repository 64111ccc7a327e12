"""What `aligncat detector train` shows while it runs: a bar on a terminal, and plain lines in a pipe."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from helpers.fabricate_instances import write_instances
from helpers.tiny_detector import save_tiny_detector

from aligncat.api.train_detector import train_detector
from aligncat.console import ProgressLines
from aligncat.detectors.training.recipe import DetectorRecipe

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
_BAR = re.compile(r"detecting objects \S+ *(\d+)/(\d+) loss \d+\.\d\d (?:\d:\d\d:\d\d|-:--:--)")


def train(folder: Path, epochs: int) -> Path:
    """Train a tiny detector with two photos in a step and four in an epoch."""
    files = write_instances(folder, photos=4)
    start = save_tiny_detector(folder / "tiny", labels=("dog", "cup", "Couch"))
    recipe = DetectorRecipe(epochs=epochs, batch_size=2, held_out=0, precision="float32")
    return train_detector(
        data=files.path, images=files.images, out=folder / "mine", from_=start, recipe=recipe, device="cpu"
    )


class Terminal(io.StringIO):
    """A terminal whose user presses Ctrl-C at the third number of steps that it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[int, int]] = []

    def isatty(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        for done, steps in _BAR.findall(_CONTROL.sub("", text)):
            if (int(done), int(steps)) not in self.shown:
                self.shown.append((int(done), int(steps)))
                if len(self.shown) == 3:
                    os.kill(os.getpid(), signal.SIGINT)
        return super().write(text)


def test_on_a_terminal_a_bar_counts_the_steps_while_they_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    for name, value in {"TERM": "xterm", "COLUMNS": "120"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, epochs=1000)
    assert {steps for _, steps in terminal.shown} == {2000}
    assert [done for done, _ in terminal.shown] == sorted(done for done, _ in terminal.shown)
    assert _CONTROL.search(terminal.getvalue()), "the bar is drawn anew in its place"


def test_in_a_pipe_there_are_plain_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ProgressLines, "period", 0.0)
    train(tmp_path, epochs=2)
    told = capsys.readouterr()
    assert "detecting objects" not in told.out and not _CONTROL.search(told.err)
    lines = [_BAR.fullmatch(line.strip()) for line in told.err.splitlines() if "detecting objects" in line]
    assert [line and (int(line[1]), int(line[2])) for line in lines] == [(1, 4), (2, 4), (3, 4), (4, 4)]
