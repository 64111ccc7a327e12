"""Making phrases by many workers: each makes and writes whole parts of the dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from aligncat.cluster.driver import Driver
from aligncat.cluster.job import Started
from aligncat.errors import ConfigError
from aligncat.files.hashes import file_sha256
from aligncat.locations import Location
from aligncat.phrases.grammar import VERSION as GRAMMAR
from aligncat.phrases.making import Making, PartMaker, WriteParts
from aligncat.phrases.parts import PhraseParts
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.store.complete import COMPLETE

if TYPE_CHECKING:
    from aligncat.store.reader import Store


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
        """Open the store. The worker tells its hash, and the versions that decide phrases."""
        from aligncat.store.reader import Store

        store = Store.open(self.store)
        make = PartMaker(store, self.parts, self.recipe, self.colours)

        def work(task: PhraseTask) -> int:
            make(task.number, task.photos)
            return task.number

        return Started(_identity(store), work)


def phrases_by_workers(driver: Driver, making: Making) -> WriteParts:
    """Return the function that writes parts with the workers of a `PhraseJob`.

    Args:
        driver: its driver.
        making: the phrases to make.

    Returns:
        The function. It raises ConfigError before a part is written if the workers see another store than `making`, or
        have another version of aligncat than this process.
    """

    def write(numbers: Sequence[int]) -> Iterator[int]:
        if numbers and (there := driver.greeting()) != (here := _identity(making.store)):
            raise ConfigError(
                f"the workers see another store, or have another version of aligncat: they have {there}, and this "
                f"process has {here}; give a path of the store that is the same on all machines, and install the same "
                "version on them"
            )
        yield from driver.run(numbers, lambda number: PhraseTask(number, making.photos_of(number)), what="part")

    return write


def _identity(store: Store) -> str:
    """Return what decides the phrases of a recipe, in words: the store and the versions."""
    return f"store {file_sha256(store.folder / COMPLETE)}, grammar {GRAMMAR}, aligncat {version('aligncat')}"
