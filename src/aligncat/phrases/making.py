"""Make a dataset of pseudo-phrases from a store, in parts that any process may make."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from aligncat.console import track
from aligncat.datasets.config import DataConfig
from aligncat.datasets.made import MADE, MADE_DATASET
from aligncat.errors import DataError, LockedError
from aligncat.files.locks import path_lock
from aligncat.files.new_folder import check_new, new_folder
from aligncat.phrases.make import UNREAD, describe_image, divide, reads_colours, record_of
from aligncat.phrases.parts import PhraseParts
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.phrases.writing import Described, write_record, write_split

if TYPE_CHECKING:
    from aligncat.store.part import Part
    from aligncat.store.reader import Store

PART = 128
"""The number of images in a part."""

WriteParts: TypeAlias = "Callable[[Sequence[int]], Iterator[int]]"
"""Writes parts: it is given their numbers, and yields them, in any order, as parts are done."""

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


@dataclass(frozen=True)
class Making:
    """The phrases to make, whoever makes them.

    Attributes:
        store: the store with the candidates of the images.
        folder: the folder of the photos.
        photos: image id and file in that folder of each image, in order of id.
        parts: the parts, which are kept beside the dataset until all are there.
        recipe: which objects are described, how often, and how.
        colours: whether phrases name colours.
    """

    store: Store
    folder: Path
    photos: Sequence[tuple[str, str]]
    parts: PhraseParts
    recipe: PhraseRecipe
    colours: bool

    @classmethod
    def of(cls, store: Store, folder: Path, photos: Mapping[str, str], out: Path, recipe: PhraseRecipe) -> Making:
        """Return the phrases to make.

        Args:
            store: the store with the candidates of the images.
            folder: the folder of the photos.
            photos: image id -> file in that folder.
            out: the folder of the dataset.
            recipe: which objects are described, how often, and how.

        Raises:
            StoreError: the recipe requires colours, and the store has none, or another version of them.
        """
        colours, in_order = reads_colours(store, recipe), sorted(photos.items())
        settings = {
            **record_of(store, recipe, colours=colours),
            "photos": len(in_order),
            "photos_sha256": hashlib.sha256(json.dumps(in_order).encode()).hexdigest(),
        }
        return cls(store, folder, in_order, PhraseParts(out.resolve(), settings), recipe, colours)

    def photos_of(self, number: int) -> Sequence[tuple[str, str]]:
        """Return the images of a part."""
        return self.photos[number * PART : (number + 1) * PART]

    def in_this_process(self, numbers: Sequence[int]) -> Iterator[int]:
        """Write parts in this process, and yield their numbers."""
        make = PartMaker(self.store, self.parts, self.recipe, self.colours)
        for number in numbers:
            make(number, self.photos_of(number))
            yield number

    def run(self, write_parts: WriteParts, part: Part | None) -> MadePhrases | None:
        """Write the parts that are missing, all or a share of them, and finish the dataset if no other is missing then.

        Returns:
            The dataset; None if parts of other shares are missing, or another process finishes it or has finished it.

        Raises:
            DataError: the dataset is there already, was begun with other settings, or has no phrase; or another process
                writes the same share.
            WriteError: a file cannot be written.
        """
        parts, out = self.parts, self.parts.out
        if (out / MADE).is_file():  # it is finished, unlike a folder of other things
            with path_lock(out):
                parts.remove_left()
        check_new(out)
        parts.begin()
        numbers = range(-(-len(self.photos) // PART))
        own = numbers if part is None else part.of(numbers)
        with path_lock(parts.folder / ("all" if part is None else f"part-{part.number}-of-{part.count}")):
            missing = parts.missing(own)
            for _ in track(write_parts(missing), "making phrases", total=len(missing)):
                pass
        if part is None:
            return self._finish(numbers)
        if missing := parts.missing(numbers) if parts.folder.exists() else []:
            logger.info(
                "%s: part %s is done; %s pieces of other parts are missing, the last part will finish the phrases",
                out,
                part,
                f"{len(missing):,}",
            )
            return None
        try:
            return self._finish(numbers)
        except LockedError as error:
            logger.info("%s: part %s is done; another process finishes the phrases (%s)", out, part, error)
            return None
        except DataError:
            if not (out / MADE).is_file():  # which is there before the parts are removed
                raise
            logger.info("%s: part %s is done; another process has finished the phrases", out, part)
            return None

    def _finish(self, numbers: Sequence[int]) -> MadePhrases:
        """Write the dataset from its parts, and remove them."""
        found: list[Described] = []
        left_out: dict[str, str] = {}
        for number in numbers:
            described, without = self.parts.read(number)
            found += described
            left_out |= without
        if not found:
            self.parts.remove()
            counts = ", ".join(f"{why}: {number:,}" for why, number in Counter(left_out.values()).items())
            raise DataError(
                f"{self.store.folder}: none of the {len(self.photos):,} images gives a phrase "
                f"({counts or 'there are no images'}); lower --recipe.confidence, or extract with a detector that "
                "knows these photos"
            )
        divided = divide(found, self.recipe)
        with new_folder(self.parts.out) as unfinished:
            for name, objects in divided.items():
                write_split(unfinished / f"{name}.jsonl", objects)
            write_record(unfinished, record_of(self.store, self.recipe, colours=self.colours), left_out)
        self.parts.remove()
        return MadePhrases(
            data=DataConfig(self.parts.out, MADE_DATASET, format="jsonl", images=self.folder),
            images={name: len({each.image_id for each in objects}) for name, objects in divided.items()},
            objects={name: len(objects) for name, objects in divided.items()},
            phrases={name: sum(len(each.phrases) for each in objects) for name, objects in divided.items()},
            left_out=Counter(left_out.values()),
            colours=self.colours,
        )


class PartMaker:
    """Makes the phrases of parts and writes them: the unit of work of `aligncat data phrases`.

    Args:
        store: the store with the candidates of the images.
        parts: the folder of the parts.
        recipe: which objects are described, how often, and how.
        colours: whether phrases name colours.
    """

    def __init__(self, store: Store, parts: PhraseParts, recipe: PhraseRecipe, colours: bool) -> None:
        self._store = store
        self._parts = parts
        self._recipe = recipe
        self._colours = colours
        self._skipped = {each.id for each in store.skipped}

    def __call__(self, number: int, photos: Sequence[tuple[str, str]]) -> None:
        """Write one part.

        Args:
            number: its number.
            photos: image id and file of its images.

        Raises:
            StoreError: the store lacks an image, or is damaged.
            WriteError: the disk is full or read-only.
        """
        found: list[Described] = []
        left_out: dict[str, str] = {}
        for image_id, photo in photos:
            if image_id in self._skipped:
                left_out[image_id] = UNREAD
                continue
            candidates = self._store.candidates(image_id)
            described = describe_image(candidates, self._store.labels, photo, self._recipe, colours=self._colours)
            if isinstance(described, str):
                left_out[image_id] = described
            else:
                found += described
        self._parts.write(number, found, left_out)
