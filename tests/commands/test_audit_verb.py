"""The audit verb: the printed counts, the lists, and errors of one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.fabricate import write_jsonl_dataset, write_refer_dataset

from aligncat.cli import main
from aligncat.commands.audit import audit
from aligncat.commands.data import check_data
from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.convert import convert_dataset
from aligncat.errors import DataError


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


def test_paths_and_a_split_can_be_text_in_python(tmp_path: Path) -> None:
    write_refer_dataset(tmp_path / "data", "refcoco")
    data = DataConfig(str(tmp_path / "data"), "refcoco")
    found = audit(detector_images="coco-train2017", data=data, splits="val", out=str(tmp_path / "lists"))  # type: ignore[arg-type]
    assert {each.split for each in found.splits} == {"val"} and (tmp_path / "lists" / "leave-out.txt").is_file()
    convert_dataset(data=data, to="jsonl", out=str(tmp_path / "lines"), splits="val")  # type: ignore[arg-type]
    assert [path.name for path in (tmp_path / "lines").iterdir()] == ["val.jsonl"]
    with pytest.raises(DataError):  # the counts are not RefCOCO's
        check_data(data=data, missing=str(tmp_path / "missing.txt"))
    assert (tmp_path / "missing.txt").is_file()
