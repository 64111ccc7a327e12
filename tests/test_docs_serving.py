"""The commands and the Python of docs/serving.md and docs/label-studio.md run against a server, as the pages say."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from helpers.fabricate import write_image
from helpers.served import Process, serve_process
from helpers.tiny_run import World
from PIL import Image

from aligncat.cli import main
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_truth
from aligncat.grounder.writers.label_studio import Controls
from aligncat.serving.label_studio.project import Project
from aligncat.serving.limits import Limits

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "serving.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip() for line in PAGE.splitlines() if line.startswith(("    aligncat ", "    ALIGNCAT_", "    curl "))
]
SERVES = [command for command in COMMANDS if "aligncat serve" in command]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    found = tmp_path_factory.mktemp("pages")
    (found / "runs").mkdir()
    for name in ("mine", "first"):
        (found / "runs" / name).symlink_to(trained)
    write_image(found / "photo.jpg", 1)
    [write] = [line for line in PAGE.splitlines() if line.startswith("    echo ")]
    subprocess.run(write, cwd=found, shell=True, check=True)
    return found


@pytest.fixture(scope="module")
def server(world: World, folder: Path) -> Iterator[Process]:
    with serve_process(folder / "log", f"mine={folder}/runs/mine") as found:
        yield found


def test_the_requests_of_the_page_are_answered(server: Process, folder: Path) -> None:
    curls = [command for command in COMMANDS if command.startswith("curl ")]
    assert len(curls) == 2 and len(SERVES) == len(COMMANDS) - 2
    for curl in curls:
        words = shlex.split(curl.replace("http://127.0.0.1:8000", server.url))
        done = subprocess.run([words[0], "-sS", *words[1:]], cwd=folder, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        assert answer["grounder"] == "mine" and answer["groundings"][0]["expression"] == "red mug"


def test_the_python_of_the_page_runs(
    server: Process, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code.replace("http://127.0.0.1:8000", server.url), "serving.md", "exec"), {})
    assert [line.split(" (")[0] for line in capsys.readouterr().out.splitlines()] == ["red mug", "the cat on the left"]


@pytest.mark.slow
@pytest.mark.parametrize("command", SERVES)
def test_a_command_of_the_page_serves(
    command: str, folder: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the port is another one, and the key is made without openssl."""
    monkeypatch.chdir(folder)
    variables, _, rest = command.rpartition("aligncat serve")
    words = [word for word in shlex.split(rest) if word not in ("--port", "8080")]
    key = {"ALIGNCAT_API_KEY": "a key of the test"} if "ALIGNCAT_API_KEY" in variables else {}
    with serve_process(folder / "log-of-command", *words, environment=key) as found:
        assert found.stop() == 0


def test_the_page_lists_every_limit_and_every_code() -> None:
    for each in fields(Limits):
        assert f"`limits.{each.name}`" in PAGE
    sources = [path.read_text() for path in (DOCS.parent / "src" / "aligncat" / "serving").glob("*.py")]
    named = re.findall(r'(?:too_large|unusable|busy)\(\s*"(\w+)"', "\n".join(sources))
    named += re.findall(r'Refusal\(\s*\d+,\s*"(\w+)"', "\n".join(sources))
    assert len(named) > 15
    assert sorted({name for name in named if f"`{name}`" not in PAGE}) == []


def test_the_configuration_of_the_page_on_label_studio_fits() -> None:
    page = (DOCS / "label-studio.md").read_text(encoding="utf-8")
    [config] = re.findall(r"```xml\n(.*?)```", page, re.DOTALL)
    project = Project.of(config)
    assert (project.photo, project.phrase, project.labels) == ("image", "phrase", ("object",))
    assert project.controls == Controls()
    [tasks] = [line.strip() for line in page.splitlines() if line.strip().startswith("[{")]
    [task] = json.loads(tasks)
    assert project.phrases(task) == ["the red mug on the left"] and project.address(task).startswith(
        "/data/local-files/"
    )


def test_the_python_of_the_page_on_label_studio_reads_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / "label-studio.md").read_text(encoding="utf-8")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (200, 100)).save(tmp_path / "photos" / "a b.png")
    shape = {"original_width": 200, "original_height": 100, "image_rotation": 0, "from_name": "box", "to_name": "image"}
    value = {"x": 10.0, "y": 20.0, "width": 90.0, "height": 30.0, "rotation": 0, "rectanglelabels": ["object"]}
    box = {**shape, "id": "a", "type": "rectanglelabels", "value": value}
    mask = {
        **shape,
        "id": "b",
        "type": "brushlabels",
        "value": {"format": "rle", "rle": [0], "brushlabels": ["object"]},
    }
    data = {"image": "/data/local-files/?d=photos/a%20b.png", "phrase": "the dog"}
    tasks = [
        {"id": n, "data": data, "annotations": [{"result": found}]} for n, found in enumerate(([box, mask], [mask]))
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(code, "label-studio.md", "exec"), {})
    [check] = [line.strip() for line in page.splitlines() if line.startswith("    aligncat data check ")]
    assert main(shlex.split(check.replace("/srv/data", str(tmp_path)))[1:]) == 0, capsys.readouterr()
    truth = load_truth(DataConfig("labelled", "jsonl", boxes="fraction", images=tmp_path), "val")
    [found] = [each.box for each in truth.values()]
    assert found == pytest.approx((20, 20, 200, 50))
