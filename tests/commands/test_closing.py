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
from aligncat.store.reader import Store


def training(out: Path, data: DataConfig, **other: object) -> dict[str, object]:
    """Return the arguments of `train` that its last line depends on."""
    usual = {"val_split": "val", "skip_bad_rows": False}
    return {"out": out, "data": data, "store": Path("my store"), **usual, **other}


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

    line = closing_line("train", training(trained, world.data), None)
    verb, words = next_command(line)
    assert verb == "evaluate"
    assert main([verb, *words, "--splits", "val"]) == 0
    line = last_line(capsys)
    assert line == f"The answers and metrics are in answers/{trained.name}. Next: " + shlex.join(
        ["aligncat", "report", f"answers/{trained.name}", "--out", "report"]
    )
    verb, words = next_command(line)
    assert main([verb, *words, "--figures", "false"]) == 0
    assert last_line(capsys) == "The report is in report. Next: open report/index.html in a browser"
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


def test_the_next_command_leaves_out_bad_rows_too(world: World) -> None:
    verb, words = next_command(closing_line("train", training(Path("run"), world.data, skip_bad_rows=True), None))
    assert verb == "evaluate" and settings(verb, words)["skip_bad_rows"]


def test_the_next_command_after_training_without_a_validation_split_is_to_ground(world: World) -> None:
    line = closing_line("train", training(Path("my run"), world.data, val_split=None), None)
    assert line == "The grounder is in my run. Next: aligncat ground PHOTO PHRASE --grounder 'my run'"


def test_the_next_command_after_extracting_without_a_validation_split_keeps_the_last_epoch(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "train.jsonl").write_text('{"image": "1.jpg", "expression": "dog"}\n')
    data = DataConfig(tmp_path, "own", format="jsonl")
    arguments = {"out": Path("store"), "data": data, "every_query": False, "skip_bad_rows": False}
    verb, words = next_command(closing_line("extract", arguments, Store.open(world.store)))
    assert verb == "train" and settings(verb, words)["val_split"] is None
    assert words[:2] == ["--config", "own"], "the published settings do not fit few phrases"


def test_a_store_of_every_query_is_for_the_evaluation(world: World) -> None:
    store = Store.open(world.store)
    arguments = {"out": Path("all queries"), "data": world.data, "every_query": True, "skip_bad_rows": False}
    verb, words = next_command(closing_line("extract", arguments, store))
    assert verb == "evaluate"
    read = settings(verb, words)
    assert read["queries"] == Path("all queries") and read["data"] == world.data


def test_data_check_and_audit_say_what_comes_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl_dataset(tmp_path / "own")
    write_refer_dataset(tmp_path / "refer", "refcoco")
    words = ["--data.path", str(tmp_path / "refer"), "--data.dataset", "refcoco"]
    assert main(["audit", "--detector_images", "coco-train2017", *words, "--out", str(tmp_path / "lists")]) == 0
    assert last_line(capsys).startswith(f"leave-out.txt is in {tmp_path / 'lists'}. Next: train the detector without")


def test_the_quickstart_says_where_the_report_is_and_how_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = closing_line("quickstart", {"out": Path("my folder")}, None)
    page = tmp_path / "my folder" / "report" / "index.html"
    assert f" in {page}: open file://{tmp_path}/my%20folder/report/index.html in a browser. Next: " in line
    assert shlex.split(line.partition(" Next: ")[2]) == ["aligncat", "page", "my folder/AlignCAT"]


def test_published_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["published", "--table", "5"]) == 0
    assert last_line(capsys).startswith("Nothing was written. Next: ")


def test_each_version_of_mojiref_is_extracted_next() -> None:
    for version, dataset in ((1, "mojiref"), (2, "mojiref2")):
        verb, words = next_command(closing_line("data mojiref", {"version": version}, Path("m")))
        assert (verb, settings(verb, words)["data"]) == ("extract", DataConfig(Path("m"), dataset))
