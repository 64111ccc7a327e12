"""What the README and the docs tell a stranger to type is accepted, and the README's Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from fabricate import write_image

from aligncat.cli import VERBS, settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
VARIABLE = re.compile(r"\$\w+")  # of a job script: there is a number in it
COMMANDS = sorted(
    {
        (page.name, VARIABLE.sub("0", line.strip().split("   #")[0]))
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("    aligncat ")
    }
)


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_the_docs_is_accepted(page: str, command: str) -> None:
    words = shlex.split(command)[1:]
    name = next(verb for verb in VERBS if words[: len(verb.split())] == verb.split())
    settings(name, words[len(name.split()) :])


def test_the_docs_have_commands() -> None:
    assert {"README.md"} <= {page for page, _ in COMMANDS}


def test_the_make_targets_of_the_docs_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in (*PAGES, ROOT / "CONTRIBUTING.md")
        for target in re.findall(r"^    make (\w+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"quickstart", "test"} <= named <= targets


def test_the_python_of_the_readme_runs(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(trained)
    write_image(tmp_path / "photo.jpg", 0)
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    phrases = re.findall(r"\[(.*)\]\):", code)[0].split(", ")
    assert len(capsys.readouterr().out.splitlines()) == len(phrases)


def test_relative_links_of_the_docs_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
