"""Answers that can be checked by hand, with the columns that `aligncat evaluate` writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from aligncat.evaluation.answers import SCHEMA, Answers
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.results import Result
from aligncat.geometry import encode_mask
from helpers.fabricate import HEIGHT, WIDTH, write_image

LEFT, RIGHT = (4.0, 5.0, 16.0, 30.0), (30.0, 10.0, 42.0, 22.0)
LABELS = ("person", "dog")
MakeAnswers = Callable[..., Answers]

_METRICS = Metrics(
    expressions=1,
    rec=1.0,
    oracle_rec=1.0,
    with_mask=1,
    res_miou=1.0,
    res_oiou=1.0,
    oracle_res_miou=1.0,
    precision=None,
    category_accuracy=None,
    errors=None,
)
_RESULT = Result(
    dataset="mojiref",
    split="val",
    split_by=None,
    config="AlignCAT",
    detector="mini",
    seen="clean",
    seed=0,
    versions={},
    metrics=_METRICS,
)


def mask_of(box: tuple[float, ...]) -> bytes:
    """Return the COCO run lengths of a filled box."""
    x1, y1, x2, y2 = map(int, box)
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool, order="F")
    mask[y1:y2, x1:x2] = True
    return encode_mask(mask)["counts"]


def answer(number: int, folder: Path, *, right: bool = True, **columns: Any) -> dict[str, Any]:
    """Return the answer to expression `number`, which refers to the thing on the left."""
    choice = 0 if right else 1
    path = folder / f"{number}.png"
    if folder.is_dir() and not path.exists():
        write_image(path, number)
    return {
        "expression_id": f"e{number:03}",
        "referent_id": f"r{number}",
        "image_id": f"i{number}",
        "image_path": str(path),
        "width": WIDTH,
        "height": HEIGHT,
        "text": f"red thing {number}",
        "kind": "color",
        "needed": ["color"],
        "redundant": [],
        "referent_category": "dog",
        "predicted_category": "dog",
        "category_matched": True,
        "words": ["red", "thing", str(number)],
        "word_weights": [0.5, 0.3, 0.2],
        "choice": choice,
        "score": 0.75,
        "right": right,
        "cause": "right" if right else "wrong_object",
        "box_iou": 1.0 if right else 0.0,
        "mask_iou": 1.0 if right else 0.0,
        "query_right": True,
        "same_category": 0,
        "size": 0.15,
        "length": 3,
        "truth_box": LEFT,
        "truth_mask": mask_of(LEFT),
        "chosen_mask": mask_of((LEFT, RIGHT)[choice]),
        "boxes": [*LEFT, *RIGHT],
        "categories": [1, 1],
        "confidences": [0.9, 0.8],
        "kept": [True, True],
        "probabilities": [0.75, 0.25] if right else [0.25, 0.75],
        "ious": [1.0, 0.0],
        **{f"{name}_scores": [1.0, 0.5] for name in ("class", "global", "coarse", "fine")},
        **columns,
    }


def fabricate_answers(
    folder: Path, rows: list[Mapping[str, Any]], provenance: Mapping[str, Any] | None = None, **identity: Any
) -> Answers:
    """Return answers made by `answer`; `rows` set columns of each, and `identity` sets fields of the result."""
    table = [answer(number, folder, **row) for number, row in enumerate(rows)]
    return Answers(replace(_RESULT, **identity), LABELS, provenance or {}, pa.Table.from_pylist(table, schema=SCHEMA))
