"""The description of a training split in the settings of a run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split
from aligncat.training.run_folder import describe_split

ROWS = [
    {"image": "a.png", "expression": ["the cup", "caf\N{LATIN SMALL LETTER E WITH ACUTE}"], "category": "cup"},
    {"image": "b.png", "expression": 'a "quoted" dog'},
]


@pytest.mark.parametrize("own_ids", [False, True], ids=["a table", "a tuple"])
def test_the_hash_is_that_of_the_list_of_all_that_training_reads(tmp_path: Path, own_ids: bool) -> None:
    rows = [{**row, "id": f"train:{number}"} if own_ids else row for number, row in enumerate(ROWS, start=1)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen = [
        ["train:1:0", "train:1", "a.png", "the cup", "cup"],
        ["train:1:1", "train:1", "a.png", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cup"],
        ["train:2:0", "train:2", "b.png", 'a "quoted" dog', "dog"],
    ]
    found = describe_split(load_split(DataConfig(tmp_path, "jsonl"), "train", check_images=False))
    assert found["sha256"] == hashlib.sha256(json.dumps(seen, ensure_ascii=False).encode()).hexdigest()
    assert (found["expressions"], found["images"]) == (3, 2)
