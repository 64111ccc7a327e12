"""`AnnotationFiles` parses each file once and keeps nothing after its block."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.fabricate import ReferFiles, write_refer_dataset

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.errors import DataError


@pytest.fixture
def files(tmp_path: Path) -> ReferFiles:
    return write_refer_dataset(tmp_path)


def empty(files: ReferFiles) -> None:
    """Empty the dataset's files. A dataset that can still be read comes from the cache."""
    for path in (files.config.path / files.config.dataset).iterdir():
        path.write_bytes(b"")


def test_all_splits_and_truths_come_from_one_reading(files: ReferFiles) -> None:
    names = split_names(files.config)
    apart = [(load_split(files.config, name), load_truth(files.config, name)) for name in names]
    with AnnotationFiles() as kept:
        assert split_names(files.config, files=kept) == names
        load_truth(files.config, "train", files=kept)
        empty(files)
        together = [
            (load_split(files.config, name, files=kept), load_truth(files.config, name, files=kept)) for name in names
        ]
    for (split, truth), (kept_split, kept_truth) in zip(apart, together, strict=True):
        assert kept_split == split
        assert {key: (t.box.tolist(), t.mask) for key, t in kept_truth.items()} == {
            key: (t.box.tolist(), t.mask) for key, t in truth.items()
        }


def test_nothing_is_kept_after_the_block(files: ReferFiles) -> None:
    with AnnotationFiles() as kept:
        load_split(files.config, "val", files=kept)
        empty(files)
        load_split(files.config, "val", files=kept)
        with pytest.raises(DataError):
            load_split(files.config, "val")  # nothing is cached without `files`
    with pytest.raises(DataError):
        load_split(files.config, "val", files=kept)


def test_two_datasets_are_not_mixed_up(files: ReferFiles, tmp_path: Path) -> None:
    other = write_refer_dataset(tmp_path / "other", splits={"val": 1})
    with AnnotationFiles() as kept:
        assert len(load_split(files.config, "val", files=kept).images) == 2
        assert len(load_split(other.config, "val", files=kept).images) == 1


def test_a_file_that_cannot_be_read_is_an_error_each_time(files: ReferFiles) -> None:
    empty(files)
    with AnnotationFiles() as kept:
        for _ in range(2):
            with pytest.raises(DataError):
                load_split(files.config, "val", files=kept)


def test_simrecs_file_is_read_once_too(tmp_path: Path) -> None:
    path = tmp_path / "anns/refcoco.json"
    path.parent.mkdir()
    row = {"iid": 5, "bbox": [1, 2, 3, 4], "cat_id": 0, "refs": ["left man"]}
    path.write_text(json.dumps({"train": [row], "val": [row]}))
    config = DataConfig(tmp_path, "refcoco", format="simrec")
    with AnnotationFiles() as kept:
        assert split_names(config, files=kept) == ("train", "val")
        path.write_text("")
        split = load_split(config, "val", check_images=False, files=kept)
        assert [e.text for e in split.expressions] == ["left man"]
