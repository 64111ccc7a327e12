"""The audit verb: the printed counts, the lists, and errors of one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.fabricate import write_jsonl_dataset, write_refer_dataset

from aligncat.cli import main


def test_the_verb_prints_the_counts_and_writes_the_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_refer_dataset(tmp_path, "refcoco")
    write_refer_dataset(tmp_path, "refcocog", "umd", {"train": 1, "val": 1, "test": 1})
    (tmp_path / "instances.json").write_text(json.dumps({"images": [{"id": 1004, "file_name": "000000001004.jpg"}]}))
    words = ["audit", "--detector-images", str(tmp_path / "instances.json"), "--data.path", str(tmp_path)]
    assert main([*words, "--data.dataset", "refcoco", "--out", str(tmp_path / "lists")]) == 0
    printed = capsys.readouterr().out
    for words_of_table in ("evaluation photos in instances.json", "leaked (1 of 2)", "clean", "umd"):
        assert words_of_table in printed
    assert {path.name for path in (tmp_path / "lists").iterdir()} == {"leave-out.txt", "train-on.txt"}


def test_your_own_photos_are_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl_dataset(tmp_path)
    words = ["audit", "--detector-images", "coco-train2017", "--data.path", str(tmp_path), "--data.dataset", "jsonl"]
    assert main([*words, "--out", str(tmp_path / "lists")]) == 0
    printed = capsys.readouterr()
    assert "unknown" in printed.out and "does not cover" not in printed.err


def test_a_missing_list_of_images_is_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_refer_dataset(tmp_path, "refcoco")
    words = ["audit", "--detector-images", "coco-2017", "--data.path", str(tmp_path), "--data.dataset", "refcoco"]
    assert main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("aligncat audit: coco-2017: no such file") and "coco-train2017" in line
