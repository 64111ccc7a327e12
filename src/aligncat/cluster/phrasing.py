"""Making phrases by many workers: each makes and writes whole parts of the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aligncat.cluster.driver import Driver
from aligncat.cluster.job import Started
from aligncat.files.hashes import file_sha256
from aligncat.locations import Location
from aligncat.phrases.making import Making, PartMaker, WriteParts
from aligncat.phrases.parts import PhraseParts
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.store.complete import COMPLETE


class PhraseTask(NamedTuple):
    """One part to make.

    Attributes:
        number: its number.
        photos: its images: id, and file in the folder of the photos.
    """

    number: int
    photos: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class PhraseJob:
    """The job of making parts of one dataset of pseudo-phrases.

    Attributes:
        store: the store's folder, which all machines see.
        parts: the folder of the parts, which all machines see.
        recipe: which objects are described, how often, and how.
        colours: whether phrases name colours.
    """

    store: Location
    parts: PhraseParts
    recipe: PhraseRecipe
    colours: bool

    def start(self) -> Started:
        """Open the store. The worker tells its hash."""
        from aligncat.store.reader import Store

        store = Store.open(self.store)
        make = PartMaker(store, self.parts, self.recipe, self.colours)

        def work(task: PhraseTask) -> int:
            make(task.number, task.photos)
            return task.number

        return Started(file_sha256(store.folder / COMPLETE), work)


def phrases_by_workers(driver: Driver, making: Making) -> WriteParts:
    """Return the function that writes parts with the workers of a `PhraseJob`.

    Args:
        driver: its driver.
        making: the phrases to make.
    """

    def write(numbers: Sequence[int]) -> Iterator[int]:
        yield from driver.run(numbers, lambda number: PhraseTask(number, making.photos_of(number)), what="part")

    return write
