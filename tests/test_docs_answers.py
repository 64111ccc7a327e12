"""The commands and the Python of docs/answers.md run, in the order of the page, and leave what it says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from helpers.fabricate import write_image
from helpers.tiny_run import CANDIDATES, World

from aligncat.api.extract import extract
from aligncat.cli import main

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "answers.md").read_text(encoding="utf-8")


def test_the_page_of_answers_runs(
    world: World, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        write_image(tmp_path / "photos" / f"{number}.jpg", number)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(trained)
    Path("phrases.txt").write_text("red person\ncouch\n")
    Path("table.csv").write_text("image,phrase,note\nphotos/2.jpg,couch,x\nphotos/1.jpg,red dog,y\n")
    extract(out="stores/photos", images="photos", detector=str(world.detector), candidates=CANDIDATES)
    commands = [line.strip() for line in PAGE.splitlines() if line.startswith("    aligncat ")]
    assert len(commands) == 15
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        if "--out" not in command:
            assert captured.out
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(code, "answers.md", "exec"), {})
        assert "1.jpg" in capsys.readouterr().out
    assert len(Path("answers.jsonl").read_text().splitlines()) == 4
    assert Path("answers.csv").read_text().splitlines()[0] == Path("again.csv").read_text().splitlines()[0]
    assert [json.loads(line)["image"] for line in Path("table-answers.jsonl").read_text().splitlines()] == [
        "photos/2.jpg",
        "photos/1.jpg",
    ]
    for path in (
        *("instances.json", "results.json", "yolo/labels/1.txt", "yolo/data.yaml", "tasks/tasks.json"),
        *(
            "polygons.json",
            "yolo-seg/labels/1.txt",
            "tasks/config.xml",
            "pictures/2.png",
            "answers.jsonl.settings.json",
            "yolo/settings.json",
        ),
    ):
        assert Path(path).is_file(), path
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_page_lists_every_format() -> None:
    from aligncat.grounder.writers.formats import FORMATS

    rows = re.findall(r"^\| `([\w-]+)` \| (file|folder) \|", PAGE, re.MULTILINE)
    assert rows == [(each.name, "folder" if each.folder else "file") for each in FORMATS]
