"""The audit verb: counts a split, the verdict, and the lists to train on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.fabricate import write_jsonl_dataset, write_refer_dataset

from aligncat.cli import main
from aligncat.commands.audit import audit
from aligncat.datasets.load import load_split
from aligncat.errors import DataError


def test_every_evaluation_photo_of_every_set_is_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """RefCOCO has images 1000 to 1007, of which 1004 to 1007 are evaluated on; umd evaluates 1001 and 1002."""
    data = write_refer_dataset(tmp_path, "refcoco").config
    write_refer_dataset(tmp_path, "refcocog", "umd", {"train": 1, "val": 1, "test": 1})
    write_refer_dataset(tmp_path, "refclef", splits={"train": 1, "val": 1})
    images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in (1000, 1001, 1004, 1005, 2000)]
    (tmp_path / "instances.json").write_text(json.dumps({"images": images}))
    audits = audit(detector_images=str(tmp_path / "instances.json"), data=data, out=tmp_path / "new" / "lists")
    assert [(each.dataset, each.split_by, each.split, each.images, each.seen, each.verdict) for each in audits] == [
        ("refcoco", "unc", "val", 2, 2, "leaked"),
        ("refcoco", "unc", "testA", 1, 0, "clean"),
        ("refcoco", "unc", "testB", 1, 0, "clean"),
        ("refcocog", "umd", "val", 1, 1, "leaked"),
        ("refcocog", "umd", "test", 1, 0, "clean"),
    ]
    said = capsys.readouterr().out
    for words in ("evaluation photos in instances.json", "leaked (2 of 2)", "clean", "umd"):
        assert words in said
    lists = tmp_path / "new" / "lists"
    assert (lists / "train-on.txt").read_text() == "000000001000.jpg\n000000002000.jpg\n"
    assert (lists / "leave-out.txt").read_text().split() == [
        f"COCO_train2014_{number:012d}.png" for number in (1001, 1002, 1004, 1005, 1006, 1007)
    ]


def test_a_named_set_needs_no_list_and_no_photos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = write_refer_dataset(tmp_path, "refcoco")
    for record in load_split(files.config, "val").images.values():
        record.path.unlink()
    with caplog.at_level("INFO", logger="aligncat"):
        audits = audit(detector_images="coco-train2017", data=files.config, splits=("val",), out=tmp_path / "lists")
    assert [(each.split, each.verdict, each.seen, each.images) for each in audits] == [("val", "leaked", 2, 2)]
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["leave-out.txt"]
    assert "instances_*.json" in caplog.text


def test_of_the_sets_beside_it_those_splits_count_that_they_have(tmp_path: Path) -> None:
    data = write_refer_dataset(tmp_path, "refcoco").config
    write_refer_dataset(tmp_path, "refcocog", "umd", {"train": 1, "val": 1, "test": 1})
    for splits, counted in (
        (("testA",), [("refcoco", "testA")]),
        (("testA", "val"), [("refcoco", "testA"), ("refcoco", "val"), ("refcocog", "val")]),
    ):
        audits = audit(detector_images="coco-train2017", data=data, splits=splits)
        assert [(each.dataset, each.split) for each in audits] == counted
    with pytest.raises(DataError, match="no split 'test'"):
        audit(detector_images="coco-train2017", data=data, splits=("test",))


def test_the_sets_that_the_lists_do_not_serve_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = write_refer_dataset(tmp_path, "refcocog", "umd", {"train": 1, "val": 1, "test": 1}).config
    audit(detector_images="coco-train2017", data=data, out=tmp_path / "lists")
    [warned] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "does not serve refcoco, refcoco+, refcocog-google, which are cut from the same photos" in warned
    for dataset, division in (("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "google")):
        write_refer_dataset(tmp_path, dataset, division, {"train": 1, "val": 1, "test": 1})
    caplog.clear()
    audit(detector_images="coco-train2017", data=data, out=tmp_path / "lists")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_own_photos_cannot_be_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_jsonl_dataset(tmp_path)
    words = ["audit", "--detector-images", "coco-train2017", "--data.path", str(tmp_path), "--data.dataset", "jsonl"]
    assert main([*words, "--out", str(tmp_path / "lists")]) == 0
    said = capsys.readouterr()
    assert "unknown" in said.out and "does not serve" not in said.err


def test_a_list_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_refer_dataset(tmp_path, "refcoco")
    words = ["audit", "--detector-images", "coco-2017", "--data.path", str(tmp_path), "--data.dataset", "refcoco"]
    assert main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("aligncat audit: coco-2017: no such file") and "coco-train2017" in line
