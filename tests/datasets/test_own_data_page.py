"""The commands of docs/own-data.md run one after the other."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from helpers.fabricate import things_of, write_image

from aligncat.cli import main
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_truth

PAGE = Path(__file__).parents[2] / "docs" / "own-data.md"
BOX = [*things_of(1)[0].box]


def write(path: Path, *rows: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    train, val = (json.loads(line) for line in re.findall(r"^    (\{.*\})$", text, re.MULTILINE))
    for number, row in enumerate((train, val)):
        write_image(tmp_path / "mine" / row["image"].replace("jpg", "png"), number)
        row["image"] = row["image"].replace("jpg", "png")
    write(tmp_path / "mine/train.jsonl", train)
    write(tmp_path / "mine/val.jsonl", {**val, "box": BOX})
    x1, y1, x2, y2 = BOX
    photo = val["image"]
    write_image(tmp_path / "table" / photo, 1)
    write(tmp_path / "table/val.jsonl", {"file": photo, "query": "the mug", "bbox": [x1, y1, x2 - x1, y2 - y1]})
    write(tmp_path / "theirs/REC_val.jsonl", {"img_path": photo, "expression": "the mug", "bbox": BOX})
    said = [
        {"from": "human", "value": "<image>\nWhere is it: the mug."},
        {"from": "gpt", "value": str([x1 / 48, y1 / 40, x2 / 48, y2 / 40])},
    ]
    write(tmp_path / "talks/val.jsonl", {"image": photo, "conversations": said})
    commands = [line.strip() for line in text.splitlines() if line.startswith("    aligncat ")]
    assert len(commands) == 7
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    for config in (
        DataConfig("theirs-jsonl", "own", format="jsonl", images="mine"),
        DataConfig("talks", "own", format="llava", boxes="fraction", images="mine"),
        DataConfig("mine-coco", "own", format="coco-csv", images="mine"),
    ):
        [truth] = load_truth(config, "val").values()
        assert truth.box.tolist() == pytest.approx(BOX)
    assert json.loads(Path("check.json").read_text())["faults"] == []
