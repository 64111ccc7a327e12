"""The function behind `aligncat data phrases`."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from aligncat.console import track
from aligncat.datasets.config import DataConfig
from aligncat.datasets.made import MADE_DATASET
from aligncat.errors import ConfigError, DataError
from aligncat.files.hashes import file_sha256
from aligncat.files.new_folder import new_folder
from aligncat.files.writable import check_writable
from aligncat.phrases.colours import COLUMN, NUMBERS, VERSION
from aligncat.phrases.grammar import VERSION as GRAMMAR
from aligncat.phrases.grammar import Phrase, describe
from aligncat.phrases.objects import objects_of
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.phrases.writing import Described, write_record, write_split
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


@dataclass(frozen=True)
class MadePhrases:
    """A dataset of pseudo-phrases.

    Attributes:
        data: the config that reads it.
        images: split -> the number of images with phrases.
        objects: split -> the number of objects with phrases.
        phrases: split -> the number of phrases.
        left_out: why images have no phrase -> the number of these images.
        colours: whether the phrases name colours.
    """

    data: DataConfig
    images: Mapping[str, int]
    objects: Mapping[str, int]
    phrases: Mapping[str, int]
    left_out: Mapping[str, int]
    colours: bool


def make_phrases(
    *,
    store: str | Path,
    out: str | Path,
    data: DataConfig | None = None,
    splits: tuple[str, ...] | None = None,
    images: str | Path | None = None,
    recipe: PhraseRecipe = PhraseRecipe(),
) -> MadePhrases:
    """Make phrases from a store alone, to train on photos without phrases of people.

    Each phrase fits exactly one of the objects that the detector finds in its image. The phrases are in JSON lines,
    with the splits train and val. They have the detector's categories, and no boxes. The same store, images and recipe
    always give the same bytes.

    Args:
        store: the store with the candidates of the images, from `aligncat extract`.
        out: the folder to write. It must not exist or must be empty.
        data: the dataset whose images to describe, whatever its phrases; give either this or `images`.
        splits: the splits of the dataset; by default only train, so that evaluation images stay unseen.
        images: the folder of photos that the store was made from.
        recipe: which objects are described, how often, and how.

    Returns:
        The counts, and the config that reads the phrases.

    Raises:
        ConfigError: both or neither of `data` and `images` are given.
        DataError: the dataset's images cannot be listed, no image gives a phrase, or the folder is not empty.
        StoreError: the store lacks an image, is damaged, or lacks the colours that the recipe requires.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    check_writable(out)
    from aligncat.store.reader import Store

    if (data is None) == (images is None):
        raise ConfigError("give either a dataset (--data.path, --data.dataset) or a folder of photos (--images)")
    opened = Store.open(store)
    colours = _reads_colours(opened, recipe)
    folder, photos = _photos_of(data, splits, None if images is None else Path(images))
    found, left_out = _describe_all(opened, photos, recipe, colours=colours)
    if not found:
        counts = ", ".join(f"{why}: {number:,}" for why, number in Counter(left_out.values()).items())
        raise DataError(
            f"{store}: none of the {len(photos):,} images gives a phrase ({counts or 'there are no images'}); lower "
            "--recipe.confidence, or extract with a detector that knows these photos"
        )
    record = _record(opened, recipe, colours=colours)
    divided = _divide(found, recipe)
    with new_folder(Path(out)) as unfinished:
        for name, objects in divided.items():
            write_split(unfinished / f"{name}.jsonl", objects)
        write_record(unfinished, record, left_out)
    return MadePhrases(
        data=DataConfig(Path(out), MADE_DATASET, format="jsonl", images=folder),
        images={name: len({each.image_id for each in objects}) for name, objects in divided.items()},
        objects={name: len(objects) for name, objects in divided.items()},
        phrases={name: sum(len(each.phrases) for each in objects) for name, objects in divided.items()},
        left_out=Counter(left_out.values()),
        colours=colours,
    )


def _reads_colours(store: Store, recipe: PhraseRecipe) -> bool:
    """Return whether phrases name colours.

    Raises:
        StoreError: the recipe requires colours, and the store has none, or another version of them.
    """
    if recipe.colours == "none":
        return False
    stored = next((each for each in store.manifest.columns if each.name == COLUMN), None)
    if stored is not None and stored.version == VERSION and stored.dim >= NUMBERS:
        return True
    if recipe.colours == "required":
        from aligncat.types import FeatureColumn

        store.manifest.check_column(FeatureColumn(COLUMN, VERSION, NUMBERS), store.folder)
    logger.warning(
        "%s: the store has no colours that aligncat can read, so no phrase names a colour; extract into "
        "another folder with --appearance true, or give --recipe.colours none",
        store.folder,
    )
    return False


def _photos_of(
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


def _describe_all(
    store: Store, photos: Mapping[str, str], recipe: PhraseRecipe, *, colours: bool
) -> tuple[list[Described], dict[str, str]]:
    """Return the described objects of all images, and image id -> why an image has none. Both are in order of id."""
    skipped = {each.id for each in store.skipped}
    found: list[Described] = []
    left_out: dict[str, str] = {}
    for image_id in track(sorted(photos), "making phrases"):
        if image_id in skipped:
            left_out[image_id] = UNREAD
            continue
        described = describe_image(store.candidates(image_id), store.labels, photos[image_id], recipe, colours=colours)
        if isinstance(described, str):
            left_out[image_id] = described
        else:
            found += described
    return found, left_out


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


def _divide(found: Sequence[Described], recipe: PhraseRecipe) -> dict[str, list[Described]]:
    """Divide objects into train and, if the recipe wants it, val, by image."""
    ids = sorted({each.image_id for each in found}, key=lambda each: (_number(f"{recipe.seed} {each}"), each))
    val = set(ids[: round(recipe.val * len(ids))])
    divided = {"train": [each for each in found if each.image_id not in val]}
    return {**divided, "val": [each for each in found if each.image_id in val]} if val else divided


def _record(store: Store, recipe: PhraseRecipe, *, colours: bool) -> dict[str, JSON]:
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
