"""All annotated objects of a split's images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_objects
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.types import ImageRecord

ANNOTATIONS = [
    {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 2, 10, 20], "iscrowd": 0},
    {"id": 2, "image_id": 8, "category_id": 1, "bbox": [0, 0, 5, 5]},
    {"id": 3, "image_id": 7, "category_id": 1, "bbox": [3.5, 0, 1, 0]},
    {"id": 4, "image_id": 7, "category_id": 1, "bbox": [0, 0, 50, 50], "iscrowd": 1},
]


def written(folder: Path, annotations: list[dict]) -> DataConfig:
    instances = {
        "images": [{"id": 7}, {"id": 8}],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
        "annotations": annotations,
    }
    (folder / "refcoco").mkdir()
    (folder / "refcoco" / "instances.json").write_text(json.dumps(instances))
    return DataConfig(folder, "refcoco")


SPLIT = Split("refcoco", "val", "unc", {"7": ImageRecord("7", Path("7.jpg"))}, ())


def test_the_objects_of_the_splits_images_are_listed_without_crowds(tmp_path):
    objects = load_objects(written(tmp_path, ANNOTATIONS), SPLIT)
    assert list(objects) == ["7"]
    boxes, names = objects["7"]
    assert boxes.tolist() == [[1, 2, 11, 22], [3.5, 0, 4.5, 0]]
    assert names == ["dog", "person"]


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, float("nan")], "1234", None])
def test_a_bad_box_is_an_error_that_says_where(tmp_path, box):
    config = written(tmp_path, [*ANNOTATIONS, {**ANNOTATIONS[0], "bbox": box}])
    with pytest.raises(DataError, match=r"instances\.json: annotations\[4\]"):
        load_objects(config, SPLIT)


def test_json_lines_have_no_other_objects(tmp_path):
    assert load_objects(DataConfig(tmp_path, "jsonl"), SPLIT) == {}
