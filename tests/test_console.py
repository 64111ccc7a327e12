from __future__ import annotations

import io
import subprocess
import sys

import pytest
from rich.progress import MofNCompleteColumn

from aligncat.console import ProgressLines, error_console, output_console, progress_bar, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_has_a_fixed_width_and_a_terminal_its_own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert (output_console().width, output_console(piped_width=140).width) == (120, 140)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "97")
    assert output_console().width == 97


def test_only_results_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    output_console().print("result")
    error_console().print("remark")
    with progress_bar(MofNCompleteColumn()) as progress:
        progress.update(progress.add_task("counting", total=3), advance=3)
    assert list(track(range(3), "tracking")) == [0, 1, 2]
    assert list(track(iter("ab"), "hidden", total=2, shown=False)) == ["a", "b"]
    output = capsys.readouterr()
    assert output.out == "result\n"
    assert "remark" in output.err and "counting" in output.err and "3/3" in output.err and "tracking" in output.err
    assert "hidden" not in output.err


def test_a_pipe_gets_a_line_of_progress_every_so_often(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ProgressLines, "period", 0.0)
    assert list(track(range(3), "tracking", total=3)) == [0, 1, 2]
    with progress_bar(MofNCompleteColumn()) as progress:
        task = progress.add_task("counting", total=3)
        for _ in range(3):
            progress.advance(task)
    lines = [line.split() for line in capsys.readouterr().err.splitlines() if line.startswith("counting")]
    assert [line[-1] for line in lines] == ["1/3", "2/3", "3/3"]


def test_lines_of_progress_have_no_control_codes_where_colours_are_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as Jupyter sets it for the commands of a notebook
    assert len(list(track(range(3), "tracking"))) == 3
    assert "\x1b" not in (said := capsys.readouterr().err) and len(said.splitlines()) == 1


def test_a_short_task_prints_one_line_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list(track(range(100), "tracking"))) == 100
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_neither_module_imports_torch() -> None:
    code = "import sys, aligncat.console, aligncat.wording; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
