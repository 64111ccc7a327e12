"""`python -m aligncat` is the command line."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--version"], 0, f"aligncat {version('aligncat')}"),
        (["--help"], 0, "usage: aligncat VERB [options]"),
        (["trian"], 2, "aligncat: there is no verb 'trian'"),
    ],
)
def test_the_module_runs_as_the_program_does(words: list[str], status: int, said: str) -> None:
    done = subprocess.run([sys.executable, "-m", "aligncat", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, (done.stdout + done.stderr).splitlines()[0]) == (status, said)
