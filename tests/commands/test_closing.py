"""The last line of each verb: what was written where, and the next command, which parses."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from helpers.fabricate import write_jsonl_dataset, write_refer_dataset
from helpers.tiny_run import World

from aligncat.cli import VERBS, main, settings
from aligncat.commands.closing import _CLOSINGS, closing_line
from aligncat.datasets.config import DataConfig


def test_every_verb_has_a_last_line() -> None:
    assert set(_CLOSINGS) == set(VERBS)


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def next_command(line: str) -> tuple[str, list[str]]:
    """Return the verb and the words of the command that a line ends with."""
    words = shlex.split(line.partition(" Next: ")[2])
    assert words[0] == "aligncat"
    name = next(verb for verb in VERBS if words[1 : 1 + len(verb.split())] == verb.split())
    return name, words[1 + len(name.split()) :]


def test_the_next_commands_lead_from_photos_to_a_report(
    world: World, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = ["--data.path", str(world.data.path), "--data.dataset", "refcoco"]
    assert main(["extract", *data, "--detector", str(world.detector), "--candidates", "6", "--out", "my store"]) == 0
    line = last_line(capsys)
    assert line.startswith("The candidates of 20 images are in my store. Next: aligncat train ")
    verb, words = next_command(line)
    assert (verb, settings(verb, words)["store"]) == ("train", Path("my store"))

    line = closing_line("train", {"out": trained, "data": world.data, "store": Path("my store")}, None)
    verb, words = next_command(line)
    assert verb == "evaluate"
    assert main([verb, *words, "--splits", "val"]) == 0
    line = last_line(capsys)
    assert line == f"The answers and metrics are in answers/{trained.name}. Next: " + shlex.join(
        ["aligncat", "report", f"answers/{trained.name}", "--out", "report"]
    )
    verb, words = next_command(line)
    assert main([verb, *words, "--figures", "false"]) == 0
    assert last_line(capsys) == "The report is in report. Next: open report/index.html"
    assert Path("report/index.html").is_file()


def test_evaluate_without_out_says_how_to_keep_the_answers(
    world: World, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data.path", str(world.data.path), "--data.dataset", "refcoco"]
    assert main(["evaluate", "--grounder", str(trained), *data, "--store", str(world.store), "--splits", "val"]) == 0
    assert last_line(capsys).startswith("The answers were not kept. Next: repeat with --out answers/")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"format": "jsonl"}, ["--data.format", "jsonl"]),
        ({"images": Path("my photos")}, ["--data.images", "my photos"]),
        ({"split_by": "google"}, ["--data.split_by", "google"]),
        ({"format": "jsonl", "boxes": "xyxy"}, ["--data.format", "jsonl", "--data.boxes", "xyxy"]),
    ],
)
def test_the_next_command_reads_the_same_dataset(change: dict[str, str], expected: list[str]) -> None:
    data = DataConfig(Path("d"), "refcocog", **change)  # type: ignore[arg-type]
    verb, words = next_command(closing_line("data convert", {}, data))
    assert words[4 : 4 + len(expected)] == expected
    assert settings(verb, words)["data"] == data


def test_data_check_and_audit_say_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl_dataset(tmp_path / "own")
    write_refer_dataset(tmp_path / "refer", "refcoco")
    words = ["--data.path", str(tmp_path / "refer"), "--data.dataset", "refcoco"]
    assert main(["audit", "--detector_images", "coco-train2017", *words, "--out", str(tmp_path / "lists")]) == 0
    assert last_line(capsys).startswith(f"leave-out.txt is in {tmp_path / 'lists'}. Next: train the detector without")


def test_published_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["published", "--table", "5"]) == 0
    assert last_line(capsys).startswith("Nothing was written. Next: ")
