"""Choosing the images to extract. The content of the store is tested in tests/store."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.fabricate import jsonl_rows, write_image, write_jsonl_dataset, write_refer_dataset
from helpers.tiny_run import CANDIDATES, World

from aligncat.api.extract import extract
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import split_names
from aligncat.datasets.photos import photos_in
from aligncat.errors import ConfigError, DataError, StoreError


def test_a_dataset_is_extracted_over_all_its_splits(world: World) -> None:
    store = world.open()
    assert store.image_ids == tuple(str(1000 + number) for number in range(20))
    assert store.manifest.candidates == CANDIDATES


def test_splits_can_be_selected(world: World, tmp_path: Path) -> None:
    store = extract(out=tmp_path / "store", data=world.data, splits=("testA",), detector=str(world.detector))
    assert store.image_ids == ("1016", "1017")
    assert store.manifest.candidates == 20  # the paper's O


def test_image_ids_in_a_folder_of_photos_are_relative_paths(world: World, tmp_path: Path) -> None:
    for name in ("b.png", "sub/a.PNG", "sub/deep/c.png"):
        write_image(tmp_path / "photos" / name, 0)
    (tmp_path / "photos" / "notes.txt").write_text("not a photo")
    (tmp_path / "photos" / "._b.png").write_bytes(b"macOS metadata of b.png")
    store = extract(out=tmp_path / "store", images=tmp_path / "photos", detector=str(world.detector))
    assert store.image_ids == ("b.png", "sub/a.PNG", "sub/deep/c.png")
    assert [record.path for record in photos_in(tmp_path / "photos")] == [
        tmp_path / "photos" / image_id for image_id in store.image_ids
    ]


def test_the_requested_preprocessing_is_used(world: World, tmp_path: Path) -> None:
    given = {"data": world.data, "splits": ("testA",), "detector": str(world.detector)}
    store = extract(out=tmp_path / "store", preprocessing="hub-384", **given)  # type: ignore[arg-type]
    assert store.manifest.detector.image_size == 384
    with pytest.raises(StoreError, match="the store has 384, not 64"):
        extract(out=tmp_path / "store", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("both", [True, False])
def test_both_or_neither_of_dataset_and_photos_is_an_error(both: bool, world: World, tmp_path: Path) -> None:
    given = {"data": world.data, "images": tmp_path} if both else {}
    with pytest.raises(ConfigError, match=r"either a dataset.*or a folder of photos"):
        extract(out=tmp_path / "store", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nowhere", "file", "empty"])
def test_a_folder_without_photos_is_an_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "scan.pdf").write_bytes(b"%PDF")  # Pillow can write PDF but not read it
    with pytest.raises(DataError, match=name):
        photos_in(tmp_path / name)


def test_bad_rows_can_be_skipped(world: World, tmp_path: Path) -> None:
    files = write_refer_dataset(tmp_path / "data", splits={"train": 3})
    files.refs[0]["sentences"] = "not a list"
    files.save()
    given = {"data": files.config, "splits": ("train",), "detector": str(world.detector)}
    with pytest.raises(DataError):
        extract(out=tmp_path / "store", **given)  # type: ignore[arg-type]
    assert len(extract(out=tmp_path / "store", skip_bad_rows=True, **given)) == 3  # type: ignore[arg-type]


class TestSplitNames:
    @pytest.mark.parametrize(
        ("dataset", "split_by", "written", "names"),
        [
            ("refcoco", "unc", ["testB", "val", "testA", "train"], ("train", "val", "testA", "testB")),
            ("refcocog", "umd", ["test", "train", "val"], ("train", "val", "test")),
            ("refcocog", "google", ["val", "train"], ("train", "val")),
            ("refcoco", "unc", ["val"], ("val",)),  # the result of `data convert --splits val`
            ("own", "unc", ["hard", "val", "easy", "train"], ("train", "val", "hard", "easy")),
        ],
    )
    def test_splits_are_read_from_refer_files(
        self, tmp_path: Path, dataset: str, split_by: str, written: list[str], names: tuple[str, ...]
    ) -> None:
        files = write_refer_dataset(tmp_path, dataset, split_by, dict.fromkeys(written, 1))
        assert split_names(files.config) == names

    def test_each_jsonl_file_is_a_split(self, tmp_path: Path) -> None:
        data = write_jsonl_dataset(tmp_path, {"train": jsonl_rows(1), "extra": jsonl_rows(1), "val": jsonl_rows(1)})
        assert split_names(data) == ("train", "extra", "val")

    def test_a_folder_without_jsonl_files_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no <split>\.jsonl"):
            split_names(DataConfig(tmp_path, "jsonl"))
