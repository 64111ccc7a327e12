"""`python -m aligncat`."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (["--version"], 0, f"aligncat {version('aligncat')}"),
        (["--help"], 0, "usage: aligncat VERB [options]"),
        (["trian"], 2, "aligncat: unknown verb 'trian'; did you mean train? (`aligncat --help` lists all)"),
    ],
)
def test_python_m_aligncat_is_the_command_line(words: list[str], status: int, expected: str) -> None:
    done = subprocess.run([sys.executable, "-m", "aligncat", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, (done.stdout + done.stderr).splitlines()[0]) == (status, expected)
