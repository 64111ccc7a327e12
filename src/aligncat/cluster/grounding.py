"""Grounding by many workers: each answers and writes whole parts of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aligncat.cluster.driver import Driver
from aligncat.cluster.job import Started
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers.part import PartWriter
from aligncat.grounder.writers.unfinished import Unfinished

if TYPE_CHECKING:
    from aligncat.grounder.photo_grounder import PhotoGrounder
    from aligncat.grounder.writers.write import WriteParts
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
        """Load the grounder. The worker tells its fingerprint."""
        grounder = self.open_grounder()
        store = None if self.open_store is None else self.open_store(grounder)

        def work(task: PartTask) -> int:
            writer = PartWriter(grounder, self.answering, store, self.skip_bad_images, self.candidates, task.unfinished)
            answers = writer.answers(task.requests, lambda photos: None)
            writer.write(task.number, task.requests, answers)
            return task.number

        return Started(grounder.fingerprint(), work)


def parts_by_workers(driver: Driver) -> WriteParts:
    """Return the function that writes parts with the workers of a `GroundingJob`.

    Args:
        driver: its driver.
    """

    def write(numbers: Sequence[int], parts: Sequence[Sequence[Request]], unfinished: Unfinished) -> Iterator[int]:
        yield from driver.run(numbers, lambda number: PartTask(number, parts[number], unfinished), what="part")

    return write
