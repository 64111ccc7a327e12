"""The commands of the README and the docs parse, their Python runs, and their links lead somewhere."""

from __future__ import annotations

import ast
import json
import logging
import re
import shlex
import shutil
from pathlib import Path

import pytest
from helpers.fabricate import write_image
from helpers.tiny_run import World

from aligncat.api.evaluate import evaluate
from aligncat.cli import VERBS, main, settings
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
VARIABLE = re.compile(r"\$\w+")  # a variable of a job script, which stands for a number
COMMANDS = sorted(
    {
        (page.name, VARIABLE.sub("0", line.strip().split("   #")[0]))
        for page in PAGES
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("    aligncat ") and not re.match(r"    aligncat [\w -]+: ", line)  # an error message
    }
)


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_the_docs_parses(page: str, command: str) -> None:
    words = shlex.split(command)[1:]
    name = next(verb for verb in VERBS if words[: len(verb.split())] == verb.split())
    settings(name, words[len(name.split()) :])


def test_the_docs_have_commands() -> None:
    assert {"README.md"} <= {page for page, _ in COMMANDS}


def test_the_make_targets_of_the_docs_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        target
        for page in (*PAGES, ROOT / "CONTRIBUTING.md")
        for target in re.findall(r"^    make ([\w-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert {"quickstart", "test"} <= named <= targets


NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)+)`")


def test_every_test_that_the_page_on_security_names_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = NAMED_TEST.findall(page)
    assert len(named) > 30 and page.count("`tests/") == len(named) + 2  # and the tables of readers and of uploads
    for file, names in named:
        parts = names.split("::")[1:]
        bodies = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
        for part in parts:
            found = [node for node in bodies if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part]
            assert len(found) == 1, f"{file}: {names}"
            bodies = found[0].body
        assert parts[-1].startswith("test_")


def test_each_promise_of_the_page_on_security_names_a_test() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    promises = page.split("## What is not promised")[0]
    items = re.split(r"^- ", promises, flags=re.MULTILINE)[1:]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(items) > 15 and len(rows) == 5
    assert [item[:60] for item in (*items, *rows) if not NAMED_TEST.search(item)] == []


def test_the_python_of_the_readme_runs(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").symlink_to(trained)
    write_image(tmp_path / "photo.jpg", 0)
    monkeypatch.chdir(tmp_path)
    [code] = python_of("README.md")
    exec(compile(code, "README.md", "exec"), {})
    phrases = re.findall(r"\[(.*)\]\):", code)[0].split(", ")
    assert len(capsys.readouterr().out.splitlines()) == len(phrases)


def test_the_line_of_the_readme_is_the_shipped_grounder_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    make_mojiref(out="aligncat-quickstart/mojiref", recipe=MojiRefConfig(train=1, val=1, test=1))
    page = (ROOT / "README.md").read_text(encoding="utf-8").split("## Ground a phrase")[1]
    command = re.findall(r"^    \.venv/bin/aligncat (ground .*)", page, re.MULTILINE)[0]
    assert main(shlex.split(command)) == 0
    assert re.findall(r"^    (.*, probability .*)", page, re.MULTILINE) == caplog.messages


def test_the_python_of_the_other_pages_runs(
    world: World, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(world.data.path, "DATA")
    coco = {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number in (1, 2, 3)],
        "annotations": [{"id": 10 + number, "image_id": number} for number in (1, 2, 2, 3)],
    }
    Path("instances_train2017.json").write_text(json.dumps(coco))
    Path("lists").mkdir()
    Path("lists/train-on.txt").write_text("1.jpg\n3.jpg\n")
    evaluate(grounder=trained, data=world.data, store=world.store, splits=("val",), out=Path("results"))
    capsys.readouterr()
    outputs = []
    for page, blocks in (("refcoco-data.md", 1), ("reproduction.md", 2)):
        codes = python_of(f"docs/{page}")
        assert len(codes) == blocks
        for code in codes:
            exec(compile(code, page, "exec"), {})
            outputs.append(capsys.readouterr().out)
    assert outputs[0].startswith("False ()"), "the counts are not RefCOCO's, and no row is bad"
    kept = json.loads(Path("instances_train2017_without_refcoco.json").read_text())
    assert [each["id"] for each in kept["images"]] == [1, 3]
    assert [each["image_id"] for each in kept["annotations"]] == [1, 3]
    assert "69.03" in outputs[2] and trained.name in outputs[2], "the paper's value on val is not beside ours"


@pytest.mark.slow
def test_the_recipe_for_own_data_runs_from_an_empty_folder(
    tiny_detector: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With 14 phrases, of which two are for measuring. Only the detector is another one."""
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", text.split("## Train on your own photos")[1], flags=re.MULTILINE)[0]
    [line] = [each.strip() for each in section.splitlines() if each.startswith("    {")]
    names = set(json.loads(line))
    for number in range(14):
        write_image(tmp_path / "DATA" / "photos" / f"{number}.png", number)
    shutil.copy("DATA/photos/7.png", "DATA/photos/7.jpg")
    rows = [
        {"image": f"photos/{number}.png", "expression": "the cat on the left", "category": "cat"}
        for number in range(14)
    ]
    assert set(rows[0]) == names
    Path("DATA/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:12]))
    with_boxes = [{**row, "box": [2, 2, 20, 20]} for row in rows[12:]]
    Path("DATA/val.jsonl").write_text("".join(json.dumps(row) + "\n" for row in with_boxes))
    commands = [each.strip() for each in section.splitlines() if each.startswith("    aligncat ")]
    assert len(commands) == 6
    caplog.set_level(logging.INFO, "aligncat")
    for command in commands:
        words = shlex.split(command.replace("facebook/mask2former-swin-tiny-coco-instance", str(tiny_detector)))[1:]
        assert main(words) == 0, f"{command}: {capsys.readouterr().err}"
    assert Path("out.png").is_file()
    assert "training-free" in capsys.readouterr().out  # beside the trained grounder
    assert "12 referents, so training.batch_size 4, training.epochs 100" in caplog.text
    chosen = json.loads(Path("runs/mine/config.json").read_text())["provenance"]["training"]
    assert (chosen["batch_size"], chosen["epochs"], chosen["warmup_epochs"]) == (4, 100, 10.0)


def python_of(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def test_relative_links_of_the_docs_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_contributing_names_files_tables_and_tests_that_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"`([A-Z_]+)` in `([\w/]+\.py)`", text)
    assert {"FAMILIES", "FORMATS", "STUDIES", "PAPERS", "VERBS"} <= {table for table, _ in rows}
    for table, module in rows:
        assert re.search(rf"^{table}\b", (ROOT / "src" / "aligncat" / module).read_text(), re.MULTILINE), table
    for name in re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", text):
        path, _, test = name.partition("::")
        assert f"def {test}" in (ROOT / path).read_text(), name
    for path in re.findall(r"^\| `([\w/]+(?:\.py|/))`", text.partition("## Layout")[2], re.MULTILINE):
        assert (ROOT / "src" / "aligncat" / path).exists(), path
