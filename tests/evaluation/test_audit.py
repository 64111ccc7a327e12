"""The audit of a detector's training images: counts per split, related datasets, and the lists to train on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.fabricate import write_refer_dataset

from aligncat.datasets.load import load_split
from aligncat.errors import DataError
from aligncat.evaluation.audit import audit_detector, write_lists


def test_every_evaluation_photo_of_related_datasets_is_counted_and_listed(tmp_path: Path) -> None:
    """RefCOCO has images 1000 to 1007 and evaluates on 1004 to 1007; umd evaluates on 1001 and 1002."""
    data = write_refer_dataset(tmp_path, "refcoco").config
    write_refer_dataset(tmp_path, "refcocog", "umd", {"train": 1, "val": 1, "test": 1})
    write_refer_dataset(tmp_path, "refclef", splits={"train": 1, "val": 1})
    images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in (1000, 1001, 1004, 1005, 2000)]
    (tmp_path / "instances.json").write_text(json.dumps({"images": images}))
    found = audit_detector(str(tmp_path / "instances.json"), data)
    assert [
        (each.dataset, each.split_by, each.split, each.images, each.seen, each.verdict) for each in found.splits
    ] == [
        ("refcoco", "unc", "val", 2, 2, "leaked"),
        ("refcoco", "unc", "testA", 1, 0, "clean"),
        ("refcoco", "unc", "testB", 1, 0, "clean"),
        ("refcocog", "umd", "val", 1, 1, "leaked"),
        ("refcocog", "umd", "test", 1, 0, "clean"),
    ]
    lists = tmp_path / "new" / "lists"
    write_lists(found, lists)
    assert (lists / "train-on.txt").read_text() == "000000001000.jpg\n000000002000.jpg\n"
    assert (lists / "leave-out.txt").read_text().split() == [
        f"COCO_train2014_{number:012d}.png" for number in (1001, 1002, 1004, 1005, 1006, 1007)
    ]


def test_a_named_set_of_images_needs_no_list_and_no_photos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = write_refer_dataset(tmp_path, "refcoco")
    for record in load_split(files.config, "val").images.values():
        record.path.unlink()
    found = audit_detector("coco-train2017", files.config, ("val",))
    assert [(each.split, each.verdict, each.seen, each.images) for each in found.splits] == [("val", "leaked", 2, 2)]
    with caplog.at_level("INFO", logger="aligncat"):
        write_lists(found, tmp_path / "lists")
    assert [path.name for path in (tmp_path / "lists").iterdir()] == ["leave-out.txt"]
    assert "instances_*.json" in caplog.text


def test_a_related_dataset_may_lack_some_of_the_splits(tmp_path: Path) -> None:
    data = write_refer_dataset(tmp_path, "refcoco").config
    write_refer_dataset(tmp_path, "refcocog", "umd", {"train": 1, "val": 1, "test": 1})
    for splits, counted in (
        (("testA",), [("refcoco", "testA")]),
        (("testA", "val"), [("refcoco", "testA"), ("refcoco", "val"), ("refcocog", "val")]),
    ):
        found = audit_detector("coco-train2017", data, splits)
        assert [(each.dataset, each.split) for each in found.splits] == counted
    with pytest.raises(DataError, match="no split 'test'"):
        audit_detector("coco-train2017", data, ("test",))


def test_a_warning_names_the_datasets_that_the_lists_do_not_cover(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = write_refer_dataset(tmp_path, "refcocog", "umd", {"train": 1, "val": 1, "test": 1}).config
    write_lists(audit_detector("coco-train2017", data), tmp_path / "lists")
    [warned] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert (
        f"does not cover refcoco, refcoco+, refcocog-google, which share these photos but have no files in {tmp_path}"
        in warned
    )
    for dataset, division in (("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "google")):
        write_refer_dataset(tmp_path, dataset, division, {"train": 1, "val": 1, "test": 1})
    caplog.clear()
    write_lists(audit_detector("coco-train2017", data), tmp_path / "lists")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
