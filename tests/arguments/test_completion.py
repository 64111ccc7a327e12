"""Completion in a real bash, through the function that argcomplete registers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = r"""
eval "$("$PYTHON" -m argcomplete.scripts.register_python_argcomplete aligncat)"
for line in "$@"; do
    COMP_LINE=$line COMP_POINT=${#line} COMP_TYPE=9 COMPREPLY=()
    read -ra COMP_WORDS <<< "$line"
    [[ $line == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
    _python_argcomplete aligncat "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
    echo "${COMPREPLY[*]}"
done
"""
EXPECTED = {
    "aligncat tr": "train",
    "aligncat --": "--help --version",
    "aligncat extract --print": "--print_config",
    "aligncat data ": "mojiref prepare check convert phrases",
    "aligncat train --training.ep": "--training.epochs --training.eps",
    "aligncat train --alignment.order ": "coarse coarse-fine fine-coarse",
    "aligncat train --config ref": "refcoco refcoco+ refcocog-google refcocog-umd",
    "aligncat train --store s --alignment quer": "querymatch querymatch+appearance",
    "aligncat data prepare refcl": "refclef",
    "aligncat ablate tab": "table3 table4 table5",
    "aligncat extract --detector mi": "mini mini2 mine/",
    "aligncat ground pho": "photo.jpg",
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_verbs_options_values_and_files(tmp_path: Path) -> None:
    bin_folder, work = tmp_path / "bin", tmp_path / "work"
    bin_folder.mkdir()
    (work / "mine").mkdir(parents=True)
    (work / "photo.jpg").touch()
    program = bin_folder / "aligncat"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m aligncat "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", *EXPECTED],
        env={**os.environ, "PYTHON": sys.executable, "PATH": f"{bin_folder}:{os.environ['PATH']}"},
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.strip() for line in done.stdout.splitlines()]
    assert dict(zip(EXPECTED, found, strict=True)) == EXPECTED, done.stderr
