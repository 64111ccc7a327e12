"""Phrases that mean no object or several, in gRefCOCO's files and in JSON lines."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.fabricate import HEIGHT, WIDTH, run_lengths_of, things_of, write_image, write_jsonl_dataset
from pycocotools import mask as coco_mask

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.convert import convert_dataset
from aligncat.datasets.load import load_objects, load_split, load_truth, split_names
from aligncat.datasets.prepare.check import check_dataset
from aligncat.errors import DataError

LEFT, RIGHT = (things_of(0)[side].box for side in (0, 1))


def write_grefs(root: Path, rows: list[dict[str, Any]], *, crowd: bool = False) -> DataConfig:
    """Write gRefCOCO's two files about image 0, whose annotations are 10 (left, person), 11 (right, dog) and 12."""
    write_image(root / "images" / "train2014" / "0.png", 0)
    folder = root / "grefcoco"
    folder.mkdir(parents=True)
    (folder / "grefs(unc).json").write_text(json.dumps(rows))
    annotations = [
        {"id": 10, "image_id": 7, "category_id": 1, "bbox": xywh(LEFT), "segmentation": run_lengths_of(LEFT)},
        {"id": 11, "image_id": 7, "category_id": 18, "bbox": xywh(RIGHT), "segmentation": run_lengths_of(RIGHT)},
        {"id": 12, "image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 4], "iscrowd": int(crowd)},
    ]
    instances = {
        "images": [{"id": 7, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"iscrowd": 0, **each} for each in annotations],
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    (folder / "instances.json").write_text(json.dumps(instances))
    return DataConfig(root, "grefcoco")


def xywh(box: tuple[int, int, int, int]) -> list[int]:
    x1, y1, x2, y2 = box
    return [x1, y1, x2 - x1, y2 - y1]


def gref(number: int, annotations: Any, categories: Any, text: str, **other: Any) -> dict[str, Any]:
    return {
        "ref_id": number,
        "ann_id": annotations,
        "category_id": categories,
        "image_id": 7,
        "file_name": "COCO_train2014_000000000007_0.jpg",
        "split": "val",
        "sent_ids": [number],
        "sentences": [{"sent_id": number, "sent": text, "raw": text, "tokens": text.split()}],
        "no_target": annotations == [-1],
        **other,
    }


ROWS = [
    gref(1, [10], [1], "the person"),
    gref(2, [10, 11], [1, 18], "both of them"),
    gref(3, [-1], [-1], "the unicorn"),
    gref(4, [10, 12], [1, 1], "the people"),
    gref(5, 11, 18, "the dog"),
]


def test_grefcocos_files_are_read(tmp_path: Path) -> None:
    config = write_grefs(tmp_path, ROWS)
    assert split_names(config) == ("val",)
    split = load_split(config, "val")
    assert [(e.text, e.category, e.no_target) for e in split.expressions] == [
        ("the person", "person", False),
        ("both of them", None, False),
        ("the unicorn", None, True),
        ("the people", "person", False),
        ("the dog", "dog", False),
    ]
    truth = load_truth(config, "val")
    found = {key: each.boxes.tolist() for key, each in truth.items()}
    assert found == {"1": [[*LEFT]], "2": [[*LEFT], [*RIGHT]], "3": [], "4": [[*LEFT], [0, 0, 4, 4]], "5": [[*RIGHT]]}
    assert truth["3"].boxes.shape == (0, 4) and truth["3"].masks == () and truth["3"].size == (WIDTH, HEIGHT)
    areas = [int(coco_mask.area(mask)) for mask in truth["2"].masks or ()]
    assert areas == [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (LEFT, RIGHT)]
    assert truth["4"].masks is None, "one of the two has no mask"
    assert [len(boxes) for boxes, _ in load_objects(config, split).values()] == [3]
    assert check_dataset(config).as_published


def test_a_crowd_is_no_target(tmp_path: Path) -> None:
    truth = load_truth(write_grefs(tmp_path, ROWS, crowd=True), "val")
    assert truth["4"].boxes.tolist() == [[*LEFT]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (gref(1, [10], [1], "a", no_target=True), "'no_target' is true, but its annotations are 10"),
        (gref(1, [-1], [1], "a", no_target=False), "'no_target' is false, but its annotations are none"),
        (gref(1, [], [1], "a"), "'no_target' is false, but its annotations are none"),
        (gref(1, [10, 99], [1], "a"), "ann_id 99 is not among the annotations"),
        (gref(1, [12, 12.0, "13"], [1], "a"), "ann_id 13 is not among"),
        (gref(1, [[10]], [1], "a"), "'ann_id' must be an id"),
        (gref(1, [10], [1, 3], "a"), "category_id 3 is not in"),
        (gref(1, [10], [1], "a", no_target="yes"), "'no_target' must be true or false"),
    ],
)
def test_contradictions_in_grefcocos_rows_are_errors(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    config = write_grefs(tmp_path, [row])
    with pytest.raises(DataError) as error:
        load_split(config, "val")
        load_truth(config, "val")
    assert message in str(error.value) and "grefs(unc).json: row 0 (ref_id 1)" in str(error.value)


def test_crowds_alone_are_an_error(tmp_path: Path) -> None:
    rows = [gref(1, [12, 10], [1], "a")]
    config = write_grefs(tmp_path, rows, crowd=True)
    assert load_truth(config, "val")["1"].boxes.tolist() == [[*LEFT]]
    path = tmp_path / "grefcoco" / "instances.json"
    instances = json.loads(path.read_text())
    for annotation in instances["annotations"]:
        annotation["iscrowd"] = 1
    path.write_text(json.dumps(instances))
    with pytest.raises(DataError, match="all of its annotations are crowds"):
        load_truth(config, "val")


def test_jsonl_rows_of_no_and_of_several_objects(tmp_path: Path) -> None:
    masks = [run_lengths_of(LEFT), run_lengths_of(RIGHT)]
    image = {"image": "photos/0.png"}
    rows = [
        {**image, "expression": "both", "boxes": [LEFT, RIGHT], "masks": masks},
        {**image, "expression": "both", "boxes": [LEFT, RIGHT]},
        {**image, "expression": "both", "masks": masks},
        {**image, "expression": "both", "box": [LEFT, RIGHT]},  # as other tools write it
        {**image, "expression": "one of them", "boxes": [LEFT], "masks": [None]},
        {**image, "expression": "the unicorn", "no_target": True},
        {**image, "expression": "the unicorn", "boxes": []},
        {**image, "expression": "the unicorn", "box": None},
    ]
    config = write_jsonl_dataset(tmp_path, {"val": rows})
    truth = list(load_truth(config, "val").values())
    assert [each.boxes.tolist() for each in truth] == [[[*LEFT], [*RIGHT]]] * 4 + [[[*LEFT]]] + [[]] * 3
    assert [None if each.masks is None else len(each.masks) for each in truth] == [2, None, 2, None, None, 0, 0, 0]
    assert [e.no_target for e in load_split(config, "val").expressions] == [False] * 5 + [True] * 3


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"no_target": True, "box": LEFT}, "'no_target' is true, but the row has 'box'"),
        ({"no_target": "true"}, "'no_target' must be true or false"),
        ({"no_target": False, "box": None}, "neither 'box' nor 'mask'"),
        ({"box": None, "mask": None}, "neither 'box' nor 'mask'"),  # an exporter's keys of unknown values
        ({"boxes": [LEFT], "box": LEFT}, "both 'box' and 'boxes'"),
        ({"boxes": [LEFT, RIGHT], "masks": [run_lengths_of(LEFT)]}, "2 boxes and 1 masks"),
        ({"masks": [[], run_lengths_of(LEFT)]}, "masks[0] is empty and has no box"),
        ({"boxes": "none"}, "'boxes' must be a list"),
        ({"boxes": [LEFT, [1, 2, 3]]}, "the box must be four finite numbers"),
    ],
)
def test_contradictions_in_jsonl_rows_are_errors(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    config = write_jsonl_dataset(tmp_path, {"val": [{"image": "photos/0.png", "expression": "a", **keys}]})
    with pytest.raises(DataError) as error:
        load_truth(config, "val")
    assert message in str(error.value) and "val.jsonl:1" in str(error.value)


def test_expressions_without_a_target_are_no_pairs_to_learn_from(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    split = load_split(write_grefs(tmp_path, ROWS), "val")
    with caplog.at_level(logging.INFO, logger="aligncat"):
        assert [e.id for e in split.with_targets().expressions] == ["1", "2", "4", "5"]
    assert "left out 1 of 5 expressions" in caplog.text
    assert split.with_targets().with_targets() == split.with_targets()
    nothing = load_split(write_grefs(tmp_path / "other", [ROWS[2]]), "val")
    with pytest.raises(DataError, match="nothing to learn"):
        nothing.with_targets()


def test_conversion_keeps_any_number_of_objects_in_jsonl_and_refuses_other_formats(tmp_path: Path) -> None:
    config = write_grefs(tmp_path / "gref", ROWS)
    before = load_truth(config, "val")
    written = convert_dataset(data=config, to="jsonl", out=tmp_path / "jsonl")
    after = load_truth(written, "val")
    assert before.keys() == after.keys()
    for key, truth in before.items():
        np.testing.assert_array_equal(truth.boxes, after[key].boxes)
        assert truth.masks == after[key].masks
    expressions = [(e.id, e.text, e.no_target) for e in load_split(config, "val").expressions]
    assert [(e.id, e.text, e.no_target) for e in load_split(written, "val").expressions] == expressions
    for form, name in (("refer", "REFER's layout"), ("simrec", "SimREC's format")):
        with pytest.raises(DataError, match=f"referent 2: 'both of them' means no object or several, and {name} has"):
            convert_dataset(data=config, to=form, out=tmp_path / form)
