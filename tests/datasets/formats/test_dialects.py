"""Files of other tools are recognised, and the error's advice reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import write_image

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth, split_names
from aligncat.errors import DataError

BOX = [2, 5, 14, 30]  # of a photo of 48 x 40
SHARES = [2 / 48, 5 / 40, 14 / 48, 30 / 40]
SIZE = {"width": 48, "height": 40}
# A row as the tool writes it, the name in the error, the row that the error advises, and the option.
ROWS: dict[str, tuple[dict[str, Any], str, dict[str, Any], Any]] = {
    "coco": (
        {"image": "0.png", "expression": "it", "bbox": [2, 5, 12, 25]},
        "COCO's key bbox",
        {"image": "0.png", "expression": "it", "box": [2, 5, 12, 25]},
        "xywh",
    ),
    "shikra": (
        {"img_path": "0.png", "expression": "it", "bbox": BOX, **SIZE},
        "Shikra",
        {"image": "0.png", "expression": "it", "box": BOX},
        None,
    ),
    "qwen": (
        {"image": "0.png", "sent": "it", "bbox": BOX, **SIZE},
        "Qwen-VL",
        {"image": "0.png", "expression": "it", "box": BOX},
        None,
    ),
    "vlm-r1": (
        {"image": "0.png", "normal_caption": "it", "solution": BOX, **SIZE},
        "VLM-R1",
        {"image": "0.png", "expression": "it", "box": BOX},
        None,
    ),
    "ms-swift": (
        {
            "messages": [{"role": "user", "content": "<image>find <ref-object>"}],
            "images": ["0.png"],
            "objects": {"ref": ["it"], "bbox": [BOX]},
        },
        "ms-swift",
        {"image": "0.png", "expression": "it", "box": BOX},
        None,
    ),
    "llava": (
        {
            "id": 0,
            "image": "0.png",
            "conversations": [{"from": "human", "value": "<image>\nit?"}, {"from": "gpt", "value": str(SHARES)}],
        },
        "LLaVA",
        {"image": "0.png", "expression": "it", "box": SHARES},
        "fraction",
    ),
}


def write(root: Path, row: dict[str, Any], boxes: Any = None) -> DataConfig:
    write_image(root / "0.png", 0)
    (root / "val.jsonl").write_text(json.dumps(row) + "\n")
    return DataConfig(root, "jsonl", boxes=boxes)


@pytest.mark.parametrize("name", ROWS)
def test_another_tools_row_is_named_and_its_advice_reads_it(tmp_path: Path, name: str) -> None:
    row, tool, advised, boxes = ROWS[name]
    config = write(tmp_path / "theirs", row)
    for read in (load_split, load_truth):
        with pytest.raises(DataError, match=rf"val\.jsonl:1: looks like .*{tool}.*\"image\": .*\"box\": ") as caught:
            read(config, "val")
    assert (f"--data.boxes {boxes}" in str(caught.value)) == (boxes is not None)
    [truth] = load_truth(write(tmp_path / "advised", advised, boxes), "val").values()
    assert truth.box.tolist() == pytest.approx(BOX)


MDETR = {
    "images": [{"file_name": "0.png", "id": 0, "original_id": 9, "caption": "it", "dataset_name": "refcoco", **SIZE}],
    "annotations": [{"bbox": [2, 5, 12, 25], "image_id": 0, "category_id": 1, "id": 0, "tokens_positive": [[0, 2]]}],
}
GREFCOCO = [{"ref_id": 2, "ann_id": [-1], "image_id": 9, "no_target": True, "sentences": [{"sent": "the unicorn"}]}]


def test_mdetrs_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "finetune_refcoco_val.json").write_text(json.dumps(MDETR))
    expected = r"finetune_refcoco_val\.json looks like MDETR's JSON.*--data\.boxes xywh"
    other_layouts = [DataConfig(tmp_path, "refcoco"), DataConfig(tmp_path, "own", format="simrec")]
    for config in (DataConfig(tmp_path, "jsonl"), DataConfig(tmp_path, "own", format="coco-csv"), *other_layouts):
        with pytest.raises(DataError, match=expected):
            split_names(config)


def test_grefcoco_is_named(tmp_path: Path) -> None:
    (tmp_path / "grefcoco").mkdir()
    (tmp_path / "grefcoco" / "grefs(unc).json").write_text(json.dumps(GREFCOCO))
    with pytest.raises(DataError, match=r"looks like gRefCOCO's .* it is read with --data\.dataset grefcoco"):
        load_split(DataConfig(tmp_path, "grefcoco"), "val")


def test_other_json_files_are_not_named(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(DataError) as caught:
        split_names(DataConfig(tmp_path, "jsonl"))
    assert "looks like" not in str(caught.value)
