"""Generation of version 2's images, annotations and phrases."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aligncat.console import track
from aligncat.mojiref.grammar import FLAVOURS, Flavour
from aligncat.mojiref.recipe import MojiRefConfig
from aligncat.mojiref.refer_files import annotation, instances_header, refs_of_scene, write_attribution, write_flavour
from aligncat.mojiref.scenes import SPLITS
from aligncat.mojiref.version2.attributes import Item
from aligncat.mojiref.version2.grammar import Describer
from aligncat.mojiref.version2.scenes import VERSION, Scene, SceneObject, compose, seed_sequence

DATASETS: dict[Flavour, str] = {"mojiref": "mojiref2", "mojiref+": "mojiref2+", "mojirefg": "mojiref2g"}
"""Flavour -> the dataset's name, which is its folder's. It differs from version 1's, so that no result mixes them."""
_FIRST_ID = 20_000_000  # above version 1's ids, so that no two images share a number
_PER_SPLIT = 1_000_000  # image ids of the n-th split start at n times this, after _FIRST_ID


def write_version2(folder: Path, recipe: MojiRefConfig, over_specification: float) -> None:
    """Write every file of version 2 into an empty folder.

    Args:
        folder: the folder.
        recipe: size and seed of the benchmark.
        over_specification: the share of phrases that say more than is needed.
    """
    (folder / "images").mkdir()
    config = {key: value for key, value in asdict(recipe).items() if key != "redundancy"}
    config |= {"version": VERSION, "over_specification": over_specification}
    instances = instances_header("MojiRef, version 2, made by aligncat", config)
    refs: dict[Flavour, list[dict[str, Any]]] = {flavour: [] for flavour in FLAVOURS}
    for split, index in track(recipe.scenes(), "making MojiRef"):
        scene = compose(recipe.seed, split, index)
        image_id = _FIRST_ID + _PER_SPLIT * SPLITS.index(split) + index
        file_name = f"MojiRef2_{image_id:012d}.jpg"
        Image.fromarray(scene.pixels).save(folder / "images" / file_name, quality=92)
        rows = [
            annotation(number, image_id, entry.category.id, entry.mask, _attributes(entry))
            for number, entry in enumerate(scene.objects, len(instances["annotations"]) + 1)
        ]
        instances["annotations"] += rows
        instances["images"].append(_image_row(scene, image_id, file_name))
        items = [_item(scene, entry, row["bbox"]) for entry, row in zip(scene.objects, rows, strict=True)]
        for flavour in FLAVOURS:
            rng = np.random.default_rng(seed_sequence(recipe.seed, split, index, 1 + FLAVOURS.index(flavour)))
            describers = [
                Describer(item, tuple(items[:number] + items[number + 1 :]), flavour)
                for number, item in enumerate(items)
            ]
            refs[flavour] += refs_of_scene(
                rng,
                rows,
                partial(_sentence, rng, describers, over_specification),
                groups=[entry.category.group for entry in scene.objects],
                split=split,
                file_name=file_name,
                most_referents=recipe.referents,
                most_sentences=recipe.sentences,
            )
    for flavour in FLAVOURS:
        write_flavour(folder / DATASETS[flavour], instances, refs[flavour])
    write_attribution(folder)


def _attributes(entry: SceneObject) -> dict[str, Any]:
    """Return what an annotation says of an object beside its category."""
    return {
        "color": entry.color,
        "texture": entry.texture,
        "wears": list(entry.wears),
        "may_wear": list(entry.may_wear),
        "does": entry.drawing.does,
        "nouns": list(entry.drawing.nouns),
        "glyph": entry.drawing.code,
    }


def _image_row(scene: Scene, image_id: int, file_name: str) -> dict[str, Any]:
    height, width = scene.pixels.shape[:2]
    hard = {"cast": scene.light.cast, "gradient": scene.light.gradient, "distractors": scene.distractors}
    return {"id": image_id, "file_name": file_name, "width": width, "height": height, **hard}


def _item(scene: Scene, entry: SceneObject, bbox: list[int]) -> Item:
    x, y, width, height = bbox
    return Item(
        category=entry.category.name,
        nouns=entry.drawing.nouns,
        color=entry.color,
        box=(x, y, x + width, y + height),
        image_size=(scene.pixels.shape[1], scene.pixels.shape[0]),
        texture=entry.texture,
        wears=entry.wears,
        may_wear=entry.may_wear,
        does=entry.drawing.does,
    )


def _sentence(
    rng: np.random.Generator, describers: list[Describer], over_specification: float, number: int
) -> dict[str, Any] | None:
    """Return a sentence of refs(unc).p for the n-th object of a scene; `correct` is there if a word is misspelt."""
    phrase = describers[number].describe(rng, over_specification=over_specification)
    if phrase is None:
        return None
    sentence = {
        "raw": phrase.text,
        "sent": phrase.text,
        "kind": phrase.kind,
        "needed": list(phrase.needed),
        "redundant": list(phrase.redundant),
    }
    return sentence if phrase.text == phrase.correct else {**sentence, "correct": phrase.correct}
