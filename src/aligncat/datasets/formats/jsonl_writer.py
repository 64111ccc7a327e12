"""Writer of JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Referent, Source
from aligncat.datasets.convert.writing import drawn_mask, number_or_text, plain_mask, recorded_kinds, tracked_referents
from aligncat.files.atomic import write_atomic


def write_jsonl(source: Source, config: DataConfig, folder: Path) -> None:
    """Write <split>.jsonl, one line per referent. A file that an interrupted conversion has written is kept."""
    for name in source.splits:
        path = folder / f"{name}.jsonl"
        if path.exists():
            continue
        rows = []
        for referent in tracked_referents(source, name):
            row: dict[str, Any] = {
                "image": referent.photo,
                "expression": [sentence.text for sentence in referent.sentences],
                "id": number_or_text(referent.id),
                "image_id": number_or_text(referent.image_id),
                "expression_ids": [number_or_text(sentence.id) for sentence in referent.sentences],
                **recorded_kinds(referent.sentences),
                **_written_objects(referent),
            }
            if referent.category is not None:
                row["category"] = referent.category
            rows.append(json.dumps(row, ensure_ascii=False) + "\n")
        write_atomic(path, "".join(rows).encode())


def _written_objects(referent: Referent) -> dict[str, Any]:
    """Return the keys that say what a referent's sentences mean: one object, none or several."""
    truth = referent.truth
    if referent.sentences[0].no_target:
        return {"no_target": True}
    if truth is None:
        return {}
    if len(truth) == 1:
        one: dict[str, Any] = {"box": truth.box.tolist()}
        return one if truth.mask is None else {**one, "mask": drawn_mask(referent, truth.mask)}
    several: dict[str, Any] = {"boxes": truth.boxes.tolist()}
    return several if truth.masks is None else {**several, "masks": [plain_mask(mask) for mask in truth.masks]}
