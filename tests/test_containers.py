"""The Dockerfiles and the compose file, as far as no registry of images is needed; and the entry command for real."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "docker"
FILES = ("Dockerfile", "Dockerfile.cuda")
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
KEY = "a key of the tests"


def instructions(name: str) -> list[str]:
    """Return the instructions of a Dockerfile, one a line."""
    lines = [line for line in (DOCKER / name).read_text().splitlines() if not line.startswith("#")]
    return re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()


@pytest.mark.parametrize("name", FILES)
def test_the_linter_finds_nothing(name: str) -> None:
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if linter is None:
        pytest.skip("hadolint is not installed here (extra [dev])")
    done = subprocess.run([linter, str(DOCKER / name)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_compose_file_the_workflows_and_the_citation_fit_their_schemas() -> None:
    workflows = [str(path) for path in (ROOT / ".github" / "workflows").iterdir()]
    for schema, files in (
        ("vendor.compose-spec", [str(DOCKER / "compose.yaml")]),
        ("vendor.github-workflows", workflows),
        ("vendor.citation-file-format", [str(ROOT / "CITATION.cff")]),
    ):
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FILES)
def test_an_image_has_no_root_no_secret_and_no_cache(name: str) -> None:
    lines = instructions(name)
    assert [line for line in lines if line.startswith("USER ")] == ["USER 1000"]
    assert any(line.startswith("HEALTHCHECK ") for line in lines)
    assert all("--no-cache-dir" in part for line in lines for part in line.split("&&") if "pip install" in part)
    assert not [line for line in lines if line.startswith("ADD ") or re.search(r"KEY=|TOKEN=", line)]


@pytest.mark.parametrize("name", FILES)
def test_what_an_image_copies_is_there_and_not_ignored(name: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = {word for line in instructions(name) if line.startswith("COPY ") for word in line.split()[1:-1]}
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "src", "constraints.txt", "docker/serve.sh"}
    for path in copied:
        assert (ROOT / path).exists() and f"!{path}" in ignored


def test_the_images_differ_in_torch_alone() -> None:
    cpu, cuda = map(instructions, FILES)
    differing = {line.split("=")[0].split()[0] for line in set(cpu) ^ set(cuda)}
    assert differing == {"ARG", "ENV", "RUN"}
    [install] = [line for line in cuda if "whl/" not in line and "TORCH_INDEX" in line]
    assert install.replace('"$TORCH_INDEX"', "https://download.pytorch.org/whl/cpu") in cpu


def test_compose_reaches_this_machine_alone_and_has_no_key_in_it() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    ours = COMPOSE["services"]["aligncat"]
    assert ours["read_only"] and ours["secrets"] == [*COMPOSE["secrets"]]
    assert all(
        f"secrets/{name}" in (DOCKER / "serve.sh").read_text().replace("$secrets", "secrets")
        for name in ours["secrets"]
    )


@pytest.mark.slow
def test_the_steps_of_the_image_run_in_a_new_environment(tmp_path: Path) -> None:
    """Only the packages that the wheel needs are those of this environment, and the port is another one."""
    source, wheels, environment = (tmp_path / name for name in ("source", "wheel", "environment"))
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(wheels), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = wheels.iterdir()
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-index", "--no-deps", str(wheel)], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "aligncat_api_key").write_text(KEY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = {
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ALIGNCAT_SECRETS": str(tmp_path / "secrets"),
        "ALIGNCAT_PORT": port,
        "OMP_NUM_THREADS": "1",
    }
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen([str(DOCKER / "serve.sh")], env=variables, cwd=tmp_path, stdout=file, stderr=file)
    try:
        until = time.monotonic() + 300
        while "answers with" not in log.read_text():
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        address = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{address}/v1/grounders").status_code == 401
        answer = httpx.get(f"{address}/v1/grounders", headers={"Authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200 and "mojiref-grounder" in answer.text
        [check] = [line for line in "\n".join(instructions("Dockerfile")).splitlines() if "HEALTHCHECK" in line]
        words = yaml.safe_load(check.partition("CMD ")[2].replace(":8000", f":{port}"))
        subprocess.run([str(python), *words[1:]], env=variables, check=True)
    finally:
        process.terminate()
        assert process.wait(60) == 0
