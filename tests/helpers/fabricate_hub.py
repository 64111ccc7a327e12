"""Rows in the layouts of the Hub's RefCOCO datasets by jxu124 and lmms-lab, about the pictures of `fabricate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from helpers.fabricate import HEIGHT, WIDTH, polygons_of, things_of

PHOTO = "COCO_train2014_{:012d}.jpg"


def refers_row(number: int, split: str = "train", **changes: Any) -> dict[str, Any]:
    """Return a row in jxu124's layout, with all its columns."""
    thing = things_of(number)[0]
    x1, y1, x2, y2 = thing.box
    photo = PHOTO.format(number)
    image = {"id": number, "width": WIDTH, "height": HEIGHT, "file_name": photo, "license": 3}
    annotation = {"id": 70 + number, "bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": polygons_of(thing.box)}
    sentences = [
        {"raw": text.upper(), "sent": text, "sent_id": 2 * number + k, "tokens": text.split()}
        for k, text in enumerate((f"{thing.colour} thing", "thing on left"))
    ]
    return {
        "sent_ids": [2 * number, 2 * number + 1],
        "file_name": photo.replace(".", "_1."),
        "ann_id": 70 + number,
        "ref_id": 30 + number,
        "image_id": number,
        "split": split,
        "sentences": sentences,
        "category_id": thing.category_id,
        "raw_anns": json.dumps(annotation),
        "raw_image_info": json.dumps(image),
        "raw_sentences": json.dumps(sentences),
        "image_path": f"coco/train2014/{photo}",
        "bbox": [float(side) for side in thing.box],
        "captions": [sentence["sent"] for sentence in sentences],
        "global_image_id": f"coco.{number}",
        "anns_id": "x",
        **changes,
    }


def answers_row(number: int, **changes: Any) -> dict[str, Any]:
    """Return a row in lmms-lab's layout; its picture is never read."""
    thing = things_of(number)[0]
    x1, y1, x2, y2 = thing.box
    return {
        "question_id": str(number),
        "image": {"bytes": b"not a picture", "path": None},
        "question": "Please carefully observe the area circled",
        "answer": [f"{thing.colour} {thing.category}", "thing on left"],
        "segmentation": [float(v) for v in (x1, y1, x2, y1, x2, y2, x1, y2)],
        "bbox": [float(side) for side in (x1, y1, x2 - x1, y2 - y1)],
        "iscrowd": 0,
        "file_name": PHOTO.format(number).replace(".", f"_{number}."),
        **changes,
    }


def write_parquet(path: Path, *rows: dict[str, Any]) -> None:
    """Write rows to one Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path)
