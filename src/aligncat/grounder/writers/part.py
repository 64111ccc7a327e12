"""Answer the photos of one part and write it: the unit of work of `aligncat ground --out`, on one machine or many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aligncat.errors import ImageError, NothingFoundError
from aligncat.grounder.candidate_grounder import CandidateGrounder
from aligncat.grounder.ground_many import Answering, PhotoAnswer, ground_photos
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers.unfinished import Unfinished

if TYPE_CHECKING:
    from aligncat.store.by_content import StoredPhotos
    from aligncat.store.part import Part

PART = 64
"""The number of photos in a part. A run that is killed loses at most two parts."""
PHRASES = 256
"""The most phrases that are answered at once; the photo is not read again for more."""


@dataclass(frozen=True)
class PartWriter:
    """Answers parts of a run and writes them.

    Attributes:
        grounder: the grounder.
        answering: how phrases are answered.
        store: the candidates of photos that were extracted before, or None.
        skip_bad_images: leave out photos that cannot be read, or in which nothing is found.
        candidates: whether to keep all candidates.
        unfinished: the folder of the parts.
    """

    grounder: CandidateGrounder
    answering: Answering
    store: StoredPhotos | None
    skip_bad_images: bool
    candidates: bool
    unfinished: Unfinished

    def answers(self, part: Sequence[Request], advance: Callable[[int], object]) -> list[PhotoAnswer]:
        """Return the answers of one part. Batches never cross its border, so that a resumed run forms the same ones.

        Args:
            part: its photos with their phrases.
            advance: called with the number of photos that are done, to report progress.

        Raises:
            ImageError: a photo cannot be read.
            NothingFoundError: nothing is found in a photo.
        """
        found: list[PhotoAnswer] = []
        for request, answer in zip(part, self._answers(part), strict=True):
            advance(not found or request.name != part[len(found) - 1].name)
            found.append(answer)
        return found

    def write(self, number: int, part: Sequence[Request], answers: Sequence[PhotoAnswer]) -> None:
        """Write one part under its own name.

        Args:
            number: its number.
            part: its photos with their phrases.
            answers: their answers.

        Raises:
            WriteError: the disk is full or read-only.
        """
        names = [request.name for request in part]
        self.unfinished.add_part(number, names, answers, candidates=self.candidates)

    def _answers(self, part: Sequence[Request]) -> Iterator[PhotoAnswer]:
        pairs = [(request.path, request.phrases) for request in part]
        try:
            yield from ground_photos(
                self.grounder, pairs, answering=self.answering, store=self.store, skip_bad_images=self.skip_bad_images
            )
        except (ImageError, NothingFoundError) as error:
            said = str(error).removesuffix(".")
            raise type(error)(
                f"{said}. Or give --skip_bad_images to leave such photos out. The answers so far are kept in "
                f"{self.unfinished.folder}; the same command continues."
            ) from error


def parts_of(requests: Sequence[Request]) -> Iterator[list[Request]]:
    """Yield the requests in parts, and those with more phrases than PHRASES as several requests."""
    part: list[Request] = []
    for request in requests:
        for start in range(0, len(request.phrases), PHRASES):
            part.append(Request(request.name, request.path, request.phrases[start : start + PHRASES]))
            if len(part) == PART:
                yield part
                part = []
    if part:
        yield part


def count_photos(requests: Sequence[Request], share: Part | None) -> int:
    """Return the number of photos in all parts or in those of a share; a photo counts once for each of its parts."""
    parts = [*parts_of(requests)]
    numbers = range(len(parts)) if share is None else share.of(range(len(parts)))
    return sum(len({request.name for request in parts[number]}) for number in numbers)
