"""Parquet files in the layouts of jxu124 and lmms-lab."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import HEIGHT, WIDTH, run_lengths_of, things_of, write_image
from helpers.fabricate_hub import PHOTO, answers_row, refers_row
from helpers.fabricate_hub import write_parquet as write
from pycocotools import mask as coco_mask

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.errors import DataError, ImageError, MissingTruthError


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    for number in range(6):
        write_image(tmp_path / "images" / PHOTO.format(number), number)
    return DataConfig(tmp_path, "refcoco", format="hub")


@pytest.fixture
def refers(config: DataConfig) -> DataConfig:
    write(config.path / "data/train-00000-of-00002-ab12.parquet", refers_row(0), refers_row(1))
    write(config.path / "data/train-00001-of-00002-cd34.parquet", refers_row(2))
    write(config.path / "data/validation-00000-of-00001-ef56.parquet", refers_row(3, "val"))
    write(config.path / "data/test-00000-of-00001-0123.parquet", refers_row(4, "testA"))
    return config


@pytest.fixture
def answers(config: DataConfig) -> DataConfig:
    write(config.path / "data/val-00000-of-00002.parquet", answers_row(0), answers_row(1))
    write(config.path / "data/val-00001-of-00002.parquet", answers_row(2))
    write(config.path / "data/testA-00000-of-00001.parquet", answers_row(3))
    return config


def assert_drawn(truth: Any, number: int) -> None:
    x1, y1, x2, y2 = things_of(number)[0].box
    assert truth.box.tolist() == [x1, y1, x2, y2]
    assert truth.mask is not None and truth.mask["size"] == [HEIGHT, WIDTH]
    pixels = coco_mask.decode(truth.mask)
    assert pixels.sum() == (x2 - x1) * (y2 - y1) == pixels[y1:y2, x1:x2].sum()


class TestJxu124:
    def test_splits_come_from_the_rows_not_from_file_names(self, refers: DataConfig) -> None:
        assert split_names(refers) == ("train", "testA", "val")
        with pytest.raises(DataError, match="no split 'validation'; it has train, testA, val"):
            load_split(refers, "validation")

    def test_ids_are_those_of_refer(self, refers: DataConfig) -> None:
        split = load_split(refers, "train")
        assert [(e.id, e.referent_id, e.image_id, e.category) for e in split.expressions[:3]] == [
            ("0", "30", "0", "person"),
            ("1", "30", "0", "person"),
            ("2", "31", "1", "dog"),
        ]
        assert [e.text for e in split.expressions[:2]] == ["red thing", "thing on left"]
        assert list(split.images) == ["0", "1", "2"]
        assert split.images["2"].path == refers.path / "images" / PHOTO.format(2)

    def test_truth_matches_the_drawn_rectangles(self, refers: DataConfig) -> None:
        truths = load_truth(refers, "train")
        assert list(truths) == ["30", "31", "32"]
        for number, truth in enumerate(truths.values()):
            assert_drawn(truth, number)
            assert truth.category == things_of(number)[0].category

    def test_a_split_is_read_without_the_columns_of_truth(self, refers: DataConfig) -> None:
        whole = load_split(refers, "val")
        row = {k: v for k, v in refers_row(3, "val").items() if k not in ("raw_anns", "bbox", "raw_image_info")}
        write(refers.path / "data/validation-00000-of-00001-ef56.parquet", row)
        assert load_split(refers, "val") == whole
        with pytest.raises(DataError, match=r"validation.*lacks the columns bbox, raw_anns, raw_image_info"):
            load_truth(refers, "val")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"category_id": 12}, "'category_id' is 12, but COCO has no category with this id"),
            ({"sentences": []}, "'sentences' is empty"),
            ({"sentences": [{"sent": "..", "sent_id": 9}]}, "empty expression"),
            ({"sentences": [{"sent": "a dog", "sent_id": 1}]}, "the id 1 was used before"),
            ({"image_path": ""}, "'image_path' must be a string"),
            ({"image_path": "coco/" + 256 * "x"}, "is too long for a file's name"),
            ({"ref_id": None}, "'ref_id' must be an id"),
        ],
    )
    def test_a_bad_row_is_an_error_with_file_and_row(
        self, refers: DataConfig, changes: dict[str, Any], message: str
    ) -> None:
        write(refers.path / "data/train-00001-of-00002-cd34.parquet", refers_row(2), refers_row(5, **changes))
        with pytest.raises(DataError, match=r"train-00001.*parquet: row 1.*" + message):
            load_split(refers, "train")
        assert len(load_split(refers, "train", skip_bad_rows=True).expressions) == 6

    @pytest.mark.parametrize(
        ("annotation", "message"),
        [
            ({"segmentation": [[1.0, 1.0, 5.0, 5.0]]}, "a polygon must be a list of at least 6"),
            ({"segmentation": run_lengths_of((1, 1, 5, 5), HEIGHT, WIDTH)}, r"the mask's size is \[48, 40\]"),
        ],
    )
    def test_a_bad_mask_is_an_error_with_file_and_row(
        self, refers: DataConfig, annotation: dict[str, Any], message: str
    ) -> None:
        write(refers.path / "data/test-00000-of-00001-0123.parquet", refers_row(4, raw_anns=json.dumps(annotation)))
        with pytest.raises(DataError, match=r"test-00000.*: row 0: " + message):
            load_truth(refers, "train")

    def test_a_box_outside_its_image_is_an_error(self, refers: DataConfig) -> None:
        row = refers_row(3, "val", bbox=[100.0, 1.0, 120.0, 5.0])
        write(refers.path / "data/validation-00000-of-00001-ef56.parquet", row)
        with pytest.raises(DataError, match="outside its image of 48 x 40"):
            load_truth(refers, "val")


class TestLmmsLab:
    def test_the_split_comes_from_the_file_name(self, answers: DataConfig) -> None:
        assert split_names(answers) == ("testA", "val")
        split = load_split(answers, "val")
        assert [e.id for e in split.expressions] == [f"val:{n}:{k}" for n in range(3) for k in range(2)]

    def test_the_photo_and_its_id_come_from_refers_file_name(self, answers: DataConfig) -> None:
        split = load_split(answers, "testA")
        assert {key: record.path.name for key, record in split.images.items()} == {"3": PHOTO.format(3)}

    def test_the_category_comes_from_the_phrases(self, answers: DataConfig) -> None:
        found = {(e.category, e.derived) for e in load_split(answers, "testA").expressions}
        assert found == {(things_of(3)[0].category, True)}

    def test_truth_matches_the_drawn_rectangles(self, answers: DataConfig) -> None:
        truths = load_truth(answers, "val")
        assert list(truths) == ["val:0", "val:1", "val:2"]
        for number, truth in enumerate(truths.values()):
            assert_drawn(truth, number)
            assert truth.category is None

    def test_a_row_can_lack_the_mask_but_not_the_box(self, answers: DataConfig) -> None:
        path = answers.path / "data/testA-00000-of-00001.parquet"
        write(path, answers_row(3), answers_row(4, segmentation=[]))
        assert load_truth(answers, "testA")["testA:1"].mask is None
        write(path, answers_row(3), answers_row(4, bbox=None))
        with pytest.raises(MissingTruthError, match="row 1: no 'bbox'"):
            load_truth(answers, "testA")

    def test_a_missing_photo_is_an_error(self, answers: DataConfig) -> None:
        (answers.path / "images" / PHOTO.format(3)).unlink()
        with pytest.raises(ImageError, match=PHOTO.format(3)):
            load_split(replace(answers, images=answers.path / "images"), "testA")


def test_an_unknown_layout_is_an_error_that_names_the_known_ones(config: DataConfig) -> None:
    write(config.path / "val-0.parquet", {"caption": "a dog", "split": "val"})
    with pytest.raises(DataError, match=r"val-0.*lacks the columns answer, file_name and has caption, split; .*jxu124"):
        load_split(config, "val")


def test_a_file_that_is_not_parquet_is_an_error(config: DataConfig) -> None:
    (config.path / "val-0.parquet").write_bytes(b"PAR1 caf\xe9")
    for read in (load_split, load_truth):
        with pytest.raises(DataError, match=r"val-0\.parquet: cannot be read as Parquet"):
            read(config, "val")


def test_a_folder_without_parquet_is_an_error(config: DataConfig) -> None:
    with pytest.raises(DataError, match=r"no \*\.parquet; .* has images; check `path`"):
        split_names(config)
