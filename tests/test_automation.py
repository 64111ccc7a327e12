"""The workflow runs commands of this repository, on the Python versions that the package supports."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
JOBS: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))["jobs"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_each_job_runs_one_script_or_make_target_of_the_repository() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    allowed = {".ci/run", *(f"make {target}" for target in targets)}
    for job in JOBS.values():
        [command] = [step["run"] for step in job["steps"] if "run" in step]
        assert command in allowed
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100, ".ci/run is not executable"


def test_the_tests_run_on_every_supported_python() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert JOBS["tests"]["strategy"]["matrix"]["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_torch_is_pinned_in_the_constraints_only() -> None:
    [requirement] = [line for line in PROJECT["dependencies"] if re.match(r"torch\b", line)]
    assert re.fullmatch(r"torch>=[\d.]+", requirement)
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_the_hooks_run_from_the_projects_environment() -> None:
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert local["repo"] == "local", "hooks of other repositories would be downloaded"
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in local["hooks"])
