"""Recognise files of referring expressions as other tools write them, and say how to read them.

They are not read: their keys do not say what the numbers of a box mean, and the same keys have had several meanings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Rows of a few kilobytes come first in such files, also in the largest.
_HEAD = 16_384


@dataclass(frozen=True)
class Dialect:
    """Another tool's way to write referring expressions.

    Attributes:
        tool: the tool or its file, as its users know it.
        keys: keys that all its rows have, and that together no other dialect above it in `DIALECTS` has.
        rewrite: a row of aligncat's JSON lines, in terms of the row's keys.
        advice: what else to do or to know; empty if nothing.
    """

    tool: str
    keys: tuple[str, ...]
    rewrite: str
    advice: str = ""

    def described(self) -> str:
        """Return what the dialect is and how to read it, for a message after a file or a line."""
        return (
            f"looks like {self.tool}, which is not read as it is; write JSON lines (docs/formats.md) of the form "
            f"{self.rewrite}{self.advice}"
        )


_OTHER_BOXES = ", and say with --data.boxes what its numbers are, unless they are x1, y1, x2, y2 in pixels"

DIALECTS = (
    Dialect(
        "ms-swift's JSON lines",
        ("messages", "images", "objects"),
        '{"image": images[0], "expression": objects["ref"][i], "box": objects["bbox"][i]}, one for each phrase',
        _OTHER_BOXES,
    ),
    Dialect(
        "LLaVA's conversations",
        ("image", "conversations"),
        '{"image": image, "expression": the phrase in the question, "box": the numbers in the answer}',
        ", and give --data.boxes fraction, because LLaVA's answers are fractions of the photo",
    ),
    Dialect(
        "VLM-R1's JSON lines",
        ("normal_caption", "solution"),
        '{"image": image, "expression": normal_caption, "box": solution}',
        _OTHER_BOXES,
    ),
    Dialect(
        "Shikra's JSON lines",
        ("img_path", "bbox"),
        '{"image": img_path, "expression": expression, "box": bbox}',
        _OTHER_BOXES,
    ),
    Dialect(
        "Qwen-VL's JSON lines",
        ("sent", "bbox"),
        '{"image": image, "expression": sent, "box": bbox}',
        _OTHER_BOXES,
    ),
    Dialect(
        "gRefCOCO's grefs(unc).json",
        ("no_target", "ann_id"),
        '{"image": file_name, "expression": sent, "boxes": the annotations\' bboxes}, or with "no_target": true',
        ", and give --data.boxes xywh. Or keep the file: as grefcoco/grefs(unc).json below --data.path, beside COCO's "
        "instances.json, it is read with --data.dataset grefcoco --data.format refer",
    ),
    Dialect(
        "MDETR's JSON",
        ("caption", "original_id"),
        '{"image": file_name, "expression": caption, "box": bbox}',
        ", and give --data.boxes xywh",
    ),
    Dialect(
        "a row with COCO's key bbox",
        ("image", "expression", "bbox"),
        '{"image": image, "expression": expression, "box": bbox}',
        ", and give --data.boxes xywh if its numbers are x, y, width, height, as COCO's are",
    ),
)
"""The dialects that are recognised. The first one whose keys are all there counts."""


def dialect_of(row: Mapping[str, object]) -> Dialect | None:
    """Return the dialect of a row of JSON lines, or None if it is none of them."""
    return next((dialect for dialect in DIALECTS if all(key in row for key in dialect.keys)), None)


def dialect_of_file(path: Path) -> Dialect | None:
    """Return the dialect of a JSON file by the keys at its beginning, or None if it is none of them."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    return next((dialect for dialect in DIALECTS if all(f'"{key}"'.encode() in head for key in dialect.keys)), None)
