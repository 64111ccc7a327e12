"""Answers made by hand about flat pictures with a box on the left and one on the right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from aligncat.evaluation.answers import SCHEMA, Answers
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.results import Result
from aligncat.geometry import encode_mask

WIDTH, HEIGHT = 64, 48
LEFT, RIGHT = (8, 8, 24, 40), (36, 12, 60, 36)  # the left box is always the referent
LABELS = ("person", "dog", "cup")
COLOURS = ((200, 30, 30), (30, 150, 60), (40, 70, 200), (220, 200, 40))


def paint(folder: Path, count: int = len(COLOURS)) -> list[Path]:
    """Write pictures of one colour each, chosen by their number, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (WIDTH, HEIGHT), COLOURS[number % len(COLOURS)]).save(path)
    return paths


def row(number: int, image: Path, text: str = "the red dog", cause: str = "right", **other: Any) -> dict[str, Any]:
    """Return an answer, which chooses the left box if it is right and the other one if not. Masks fill their boxes."""
    choice = 0 if cause == "right" else 1
    return {
        "expression_id": str(number),
        "referent_id": f"r{number}",
        "image_id": image.stem,
        "image_path": str(image),
        "width": WIDTH,
        "height": HEIGHT,
        "text": text,
        "kind": "color",
        "needed": ["color"],
        "redundant": [],
        "referent_category": "dog",
        "predicted_category": "dog",
        "category_matched": True,
        "words": text.split()[:40],
        "word_weights": [0.25, 0.5, 0.25][: len(text.split())] + [0.0] * max(0, min(len(text.split()), 40) - 3),
        "choice": choice,
        "score": 0.75,
        "right": cause == "right",
        "cause": cause,
        "box_iou": 1.0 if cause == "right" else 0.0,
        "mask_iou": 1.0 if cause == "right" else 0.0,
        "query_right": None,
        "same_category": 1,
        "size": 0.1667,
        "length": len(text.split()),
        "truth_box": LEFT,
        "truth_mask": counts(LEFT),
        "chosen_mask": counts((LEFT, RIGHT)[choice]),
        "boxes": [*LEFT, *RIGHT, 0, 0, WIDTH, HEIGHT],
        "categories": [1, 1, 0],
        "confidences": [0.9, 0.8, 0.1],
        "kept": [True, True, False],
        "probabilities": [0.75, 0.25, 0] if choice == 0 else [0.25, 0.75, 0],
        "ious": [1.0, 0.0, 0.1667],
        "class_scores": [1, 1, 0],
        "global_scores": [0.5, 0.25, -0.125],
        "coarse_scores": [100.5, 100.25, float("-inf")],
        "fine_scores": None,
        **other,
    }


def counts(box: Sequence[int]) -> bytes:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = True
    return encode_mask(mask)["counts"]


def answers(rows: Sequence[dict[str, Any]], *, provenance: Mapping[str, Any] | None = None, **identity: Any) -> Answers:
    """Return the answers of one run; `identity` sets fields of its result."""
    rec = sum(answer["right"] for answer in rows) / len(rows)
    metrics = Metrics(len(rows), rec, 1.0, len(rows), rec, rec, 1.0, None, None, None)
    fields: dict[str, Any] = {
        "dataset": "toy",
        "split": "val",
        "split_by": None,
        "config": "AlignCAT",
        "detector": "mini",
        "seen": "clean",
        "seed": 0,
        "versions": {},
        "metrics": metrics,
    }
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    return Answers(Result(**{**fields, **identity}), LABELS, provenance or {}, table)


def save(folder: Path, rows: Sequence[dict[str, Any]], **identity: Any) -> Path:
    """Save a run like `aligncat evaluate --out` and return its folder, which holds one file of answers."""
    made = answers(rows, **identity)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(folder / f"{made.result.config}-{made.result.dataset}-{made.result.split}.parquet")
    return folder
