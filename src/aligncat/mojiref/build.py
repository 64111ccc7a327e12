"""Generation of MojiRef in REFER's layout, and of version 1's images and phrases."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from aligncat.console import track
from aligncat.errors import ConfigError
from aligncat.files.new_folder import new_folder
from aligncat.files.writable import check_writable
from aligncat.mojiref.attributes import Item
from aligncat.mojiref.glyphs import CATEGORIES
from aligncat.mojiref.gmojiref import DATASET, AnyNumber, sentence_of
from aligncat.mojiref.grammar import FLAVOURS, Flavour, describe
from aligncat.mojiref.recipe import MojiRefConfig
from aligncat.mojiref.refer_files import (
    annotation,
    instances_header,
    refs_of_scene,
    write_any_number,
    write_attribution,
    write_flavour,
)
from aligncat.mojiref.scenes import SPLITS, Scene, compose
from aligncat.mojiref.version2.build import write_version2
from aligncat.mojiref.version2.grammar import OVER_SPECIFICATION

_PER_SPLIT = 1_000_000  # image ids of the n-th split start at n times this


def make_mojiref(
    *,
    out: str | Path,
    version: Literal[1, 2] = 1,
    over_specification: float | None = None,
    recipe: MojiRefConfig = MojiRefConfig(),
) -> Path:
    """Make the MojiRef benchmark: scenes of OpenMoji objects, and phrases that fit exactly one object each.

    Version 1 also has phrases that fit several objects or none, in the dataset gmojiref.

    Args:
        out: the folder to write; it must not exist, or it must be empty.
        version: 1, or 2 for harder scenes and more human phrases; see docs/mojiref.md.
        over_specification: of version 2, the share of phrases that say more than is needed, 0 to 1. The default is
            0.33, as people do.
        recipe: size and seed of the benchmark.

    Returns:
        The folder, with images/ and, for each flavour, instances.json and refs(unc).p (for gmojiref grefs(unc).json).

    Raises:
        ConfigError: over_specification is out of range, or a setting belongs to the other version.
        DataError: the folder is not empty, or another process is writing it.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    _check(version, over_specification, recipe)
    check_writable(out)
    with new_folder(Path(out)) as folder:
        if version == 1:
            _write(folder, recipe)
        else:
            write_version2(folder, recipe, OVER_SPECIFICATION if over_specification is None else over_specification)
    return Path(out)


def _check(version: int, over_specification: float | None, recipe: MojiRefConfig) -> None:
    if version == 1 and over_specification is not None:
        raise ConfigError(
            "over_specification is a setting of version 2; with version 1, set recipe.redundancy, or leave it out"
        )
    if version == 2 and recipe.redundancy != MojiRefConfig.redundancy:
        raise ConfigError("recipe.redundancy is a setting of version 1; with version 2, set over_specification")
    if over_specification is not None and not 0 <= over_specification <= 1:
        raise ConfigError(f"over_specification {over_specification}: must be between 0 and 1")


def _write(folder: Path, recipe: MojiRefConfig) -> None:
    """Write every file of version 1 into an empty folder."""
    (folder / "images").mkdir()
    instances = instances_header("MojiRef, made by aligncat", asdict(recipe))
    refs: dict[Flavour, list[dict[str, Any]]] = {flavour: [] for flavour in FLAVOURS}
    any_number = AnyNumber(recipe)
    for split, index in track(recipe.scenes(), "making MojiRef"):
        scene = compose(recipe.seed, split, index)
        image_id = _PER_SPLIT * (SPLITS.index(split) + 1) + index
        file_name = f"MojiRef_{image_id:012d}.jpg"
        Image.fromarray(scene.pixels).save(folder / "images" / file_name, quality=92)
        rows = _annotations(scene, image_id, first=len(instances["annotations"]) + 1)
        instances["annotations"] += rows
        height, width = scene.pixels.shape[:2]
        instances["images"].append({"id": image_id, "file_name": file_name, "width": width, "height": height})
        items = [_item(scene, row) for row in rows]
        groups = [entry.category.group for entry in scene.objects]
        for flavour in FLAVOURS:
            rng = np.random.default_rng([recipe.seed, SPLITS.index(split), index, 1 + FLAVOURS.index(flavour)])
            refs[flavour] += refs_of_scene(
                rng,
                rows,
                partial(_sentence, rng, flavour, items, recipe.redundancy),
                groups=groups,
                split=split,
                file_name=file_name,
                most_referents=recipe.referents,
                most_sentences=recipe.sentences,
            )
        any_number.add(items, rows, groups=groups, split=split, index=index, file_name=file_name)
    for flavour in FLAVOURS:
        write_flavour(folder / flavour, instances, refs[flavour])
    write_any_number(folder / DATASET, instances, any_number.refs())
    write_attribution(folder)


def _annotations(scene: Scene, image_id: int, first: int) -> list[dict[str, Any]]:
    """Return COCO annotations of a scene's objects, extended by the nouns and the colour of each."""
    return [
        annotation(
            first + number,
            image_id,
            entry.category.id,
            entry.mask,
            {"color": entry.color, "nouns": list(entry.glyph.nouns), "glyph": entry.glyph.code},
        )
        for number, entry in enumerate(scene.objects)
    ]


def _sentence(
    rng: np.random.Generator, flavour: Flavour, items: list[Item], redundancy: float, number: int
) -> dict[str, Any] | None:
    """Return a sentence of refs(unc).p for the n-th object of a scene."""
    others = [item for other, item in enumerate(items) if other != number]
    phrase = describe(rng, flavour, items[number], others, redundancy=redundancy)
    return None if phrase is None else sentence_of(phrase)


def _item(scene: Scene, row: dict[str, Any]) -> Item:
    x, y, width, height = row["bbox"]
    attributes = row["attributes"]
    category = next(c.name for c in CATEGORIES if c.id == row["category_id"])
    size = (scene.pixels.shape[1], scene.pixels.shape[0])
    box = (x, y, x + width, y + height)
    return Item(category, tuple(attributes["nouns"]), attributes["color"], box, size)
