"""Writer of SimREC's JSON and masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Referent, Source
from aligncat.datasets.convert.writing import (
    corner_and_sides,
    number_or_text,
    recorded_kinds,
    refuse_other_than_one,
    tracked_referents,
)
from aligncat.datasets.known import known_dataset
from aligncat.geometry import decode_mask
from aligncat.types import RLE

_COCO_INDICES = {name: index for index, name in enumerate(COCO_NAMES)}
_HEADER_BYTES = 128  # of a .npy file


def write_simrec(source: Source, config: DataConfig, folder: Path) -> None:
    """Write anns/<dataset>.json and masks/<dataset>/<mask_id>.npy.

    As in the output of SimREC's own script, a row is a referent in the training split and a sentence in the others.
    Masks that an interrupted conversion has written are kept.

    Args:
        source: the dataset to write.
        config: the configuration that will read the result.
        folder: the folder to write into.
    """
    masks = folder / "masks" / config.dataset
    masks.mkdir(parents=True, exist_ok=True)
    ids = [referent_id for split in source.splits.values() for referent_id in split.sentences_by_referent()]
    # QueryMatch requires numbers as mask ids, and one folder holds the masks of all splits. So a referent keeps its id
    # as mask id only if all ids are numbers and no two splits share one.
    keep = len(set(ids)) == len(ids) and all(isinstance(number_or_text(referent_id), int) for referent_id in ids)
    document: dict[str, list[dict[str, Any]]] = {}
    count = 0
    for name in source.splits:
        document[name] = []
        for referent in tracked_referents(source, name):
            refuse_other_than_one(referent, "SimREC's format")
            mask_id = int(referent.id) if keep else count
            count += 1
            row = _simrec_row(referent, config.dataset)
            if not keep or referent.truth is None or referent.truth.mask is None:
                row["ref_id"] = number_or_text(referent.id)
            if referent.truth is not None and referent.truth.mask is not None:
                row["mask_id"] = mask_id
                _write_mask(masks / f"{mask_id}.npy", referent.truth.mask)
            together = [referent.sentences] if name == "train" else [(each,) for each in referent.sentences]
            document[name] += (
                {
                    **row,
                    "refs": [sentence.text for sentence in sentences],
                    "sent_ids": [number_or_text(sentence.id) for sentence in sentences],
                    **recorded_kinds(sentences),
                }
                for sentences in together
            )
    (folder / "anns").mkdir(exist_ok=True)
    text = json.dumps(document, ensure_ascii=False)
    (folder / "anns" / f"{config.dataset}.json").write_text(text, encoding="utf-8")


def _write_mask(path: Path, mask: RLE) -> None:
    """Write a mask, unless an interrupted conversion has written all of it."""
    height, width = mask["size"]
    if not path.exists() or path.stat().st_size != _HEADER_BYTES + height * width:
        np.save(path, decode_mask(mask).astype(np.uint8))


def _simrec_row(referent: Referent, dataset: str) -> dict[str, Any]:
    iid = number_or_text(referent.image_id)
    row: dict[str, Any] = {"iid": iid}
    if isinstance(iid, str) or known_dataset(dataset).photo_name.format(iid) != referent.photo:
        row["file_name"] = referent.photo
    if referent.truth is not None:
        row["bbox"] = corner_and_sides(referent.truth)
    if referent.category in _COCO_INDICES:
        row["cat_id"] = _COCO_INDICES[referent.category]
    elif referent.category is not None:
        row["category"] = referent.category
    return row
