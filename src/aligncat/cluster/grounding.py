"""Grounding by many workers: each answers and writes whole parts of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from aligncat.cluster.driver import Driver
from aligncat.cluster.job import Started
from aligncat.errors import ConfigError
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers.part import PartWriter
from aligncat.grounder.writers.unfinished import Unfinished

if TYPE_CHECKING:
    from aligncat.grounder.photo_grounder import PhotoGrounder
    from aligncat.grounder.writers.write import NamedGrounder, WriteParts
    from aligncat.store.by_content import StoredPhotos


class PartTask(NamedTuple):
    """One part to write.

    Attributes:
        number: its number.
        requests: its photos with their phrases.
        unfinished: the folder of the parts, which all machines see.
    """

    number: int
    requests: Sequence[Request]
    unfinished: Unfinished


@dataclass(frozen=True)
class GroundingJob:
    """The job of answering parts of one output.

    Attributes:
        open_grounder: loads the grounder, on the machine that runs it.
        open_store: opens the store with candidates of photos, for this grounder; None if there is none.
        answering: how phrases are answered.
        skip_bad_images: leave out photos that cannot be read, or in which nothing is found.
        candidates: whether to keep all candidates.
    """

    open_grounder: Callable[[], PhotoGrounder]
    open_store: Callable[[PhotoGrounder], StoredPhotos] | None
    answering: Answering
    skip_bad_images: bool
    candidates: bool

    def start(self) -> Started:
        """Load the grounder. The worker tells what decides its answers."""
        grounder = self.open_grounder()
        store = None if self.open_store is None else self.open_store(grounder)

        def work(task: PartTask) -> int:
            writer = PartWriter(grounder, self.answering, store, self.skip_bad_images, self.candidates, task.unfinished)
            answers = writer.answers(task.requests, lambda photos: None)
            writer.write(task.number, task.requests, answers)
            return task.number

        return Started(_identity(grounder, store), work)


def parts_by_workers(driver: Driver, grounder: NamedGrounder, store: StoredPhotos | None) -> WriteParts:
    """Return the function that writes parts with the workers of a `GroundingJob`.

    Args:
        driver: its driver.
        grounder: the grounder of this process.
        store: the store of this process; None if there is none.

    Returns:
        The function. It raises ConfigError before a part is written if the workers have another grounder, another
        store or another version of aligncat than this process.
    """

    def write(numbers: Sequence[int], parts: Sequence[Sequence[Request]], unfinished: Unfinished) -> Iterator[int]:
        if numbers and (there := driver.greeting()) != (here := _identity(grounder, store)):
            raise ConfigError(
                f"the workers have another grounder, another store or another version of aligncat: they have {there}, "
                f"and this process has {here}; give paths that are the same on all machines, and install the same "
                "version on them"
            )
        yield from driver.run(numbers, lambda number: PartTask(number, parts[number], unfinished), what="part")

    return write


def _identity(grounder: NamedGrounder, store: StoredPhotos | None) -> str:
    """Return what decides the answers, in words: the grounder, the store and the version."""
    stored = "no store" if store is None else f"store {store.sha256()}"
    return f"grounder {grounder.fingerprint()}, {stored}, aligncat {version('aligncat')}"
