"""Make the pseudo-phrases of an image from its candidates, and what a dataset of them is made of."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aligncat.datasets.config import DataConfig
from aligncat.detectors.colour import COLOUR
from aligncat.files.hashes import file_sha256
from aligncat.phrases.grammar import VERSION as GRAMMAR
from aligncat.phrases.grammar import Phrase, describe
from aligncat.phrases.objects import objects_of
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.phrases.writing import Described
from aligncat.types import JSON

if TYPE_CHECKING:
    from aligncat.store.reader import Store
    from aligncat.types import Candidates

UNREAD = "the extraction could not read it"
NOTHING = "the detector found nothing"
UNSURE = "no object is confident enough"
ALIKE = "no object can be told apart"
_TRIES = 3  # per wanted sentence, as some are equal

logger = logging.getLogger(__name__)


def reads_colours(store: Store, recipe: PhraseRecipe) -> bool:
    """Return whether phrases name colours.

    Raises:
        StoreError: the recipe requires colours, and the store has none, or another version of them.
    """
    if recipe.colours == "none":
        return False
    if COLOUR in store.manifest.columns:
        return True
    if recipe.colours == "required":
        store.manifest.check_column(COLOUR, store.folder)
    logger.warning(
        "%s: the store has no colours that aligncat can read, so no phrase names a colour; extract into "
        "another folder with --appearance true, or give --recipe.colours none",
        store.folder,
    )
    return False


def photos_to_describe(
    data: DataConfig | None, splits: Sequence[str] | None, images: Path | None
) -> tuple[Path, Mapping[str, str]]:
    """Return the folder of the photos, and image id -> file in it. Photos may be missing: none is opened."""
    if images is not None:
        from aligncat.datasets.photos import photos_in

        return images, {record.id: record.id for record in photos_in(images)}
    from aligncat.datasets.convert.source import Source
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.formats.layout import likely_image_folder
    from aligncat.datasets.split import split_tuple

    assert data is not None, "either data or images is given"
    with AnnotationFiles() as files:
        source = Source.read(data, split_tuple(splits) or ("train",), files)
        beside = likely_image_folder(data)
        photos = {
            record.id: record.path.relative_to(beside).as_posix()
            for split in source.splits.values()
            for record in split.images.values()
        }
        return source.photos, photos


def describe_image(
    candidates: Candidates, labels: Sequence[str], photo: str, recipe: PhraseRecipe, *, colours: bool
) -> list[Described] | str:
    """Return the described objects of one image, or why it has none.

    The random choices depend on the seed and the image's id only, not on the other images.

    Args:
        candidates: the image's candidates.
        labels: the detector's category names.
        photo: the image's file, relative to the folder of the photos.
        recipe: which objects are described, how often, and how.
        colours: whether phrases name colours.
    """
    if not len(candidates):
        return NOTHING
    objects = objects_of(candidates, labels, recipe, colours=colours)
    sure = [place for place, each in enumerate(objects) if each.sure]
    if not sure:
        return UNSURE
    random = np.random.default_rng((recipe.seed, _number(candidates.image_id)))
    found: list[Described] = []
    for place in random.permutation(sure).tolist():
        item, others = objects[place], [*objects[:place], *objects[place + 1 :]]
        phrases: dict[str, Phrase] = {}
        for _ in range(_TRIES * recipe.sentences):
            phrase = describe(random, item, others, over_specification=recipe.over_specification)
            if phrase is None or len(phrases) == recipe.sentences:
                break
            phrases.setdefault(phrase.text, phrase)
        if phrases:
            found.append(Described(candidates.image_id, photo, item.category, tuple(phrases.values())))
        if len(found) == recipe.referents:
            break
    return found or ALIKE


def divide(found: Sequence[Described], recipe: PhraseRecipe) -> dict[str, list[Described]]:
    """Divide objects into train and, if the recipe wants it, val, by image."""
    ids = sorted({each.image_id for each in found}, key=lambda each: (_number(f"{recipe.seed} {each}"), each))
    val = set(ids[: round(recipe.val * len(ids))])
    divided = {"train": [each for each in found if each.image_id not in val]}
    return {**divided, "val": [each for each in found if each.image_id in val]} if val else divided


def record_of(store: Store, recipe: PhraseRecipe, *, colours: bool) -> dict[str, JSON]:
    """Return what a grounder that learns from the phrases records of them."""
    from aligncat.store.complete import COMPLETE

    name = store.manifest.detector.name
    return {
        "by": "aligncat data phrases",
        "grammar": GRAMMAR,
        "recipe": asdict(recipe),
        "colours": colours,
        "categories": "the detector's",
        "detector": Path(name).name if Path(name).is_absolute() else name,  # not the paths of a private disk
        "store_sha256": file_sha256(store.folder / COMPLETE),
    }


def _number(text: str) -> int:
    """Return a number that depends on all of a text, in [0, 2^64)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
