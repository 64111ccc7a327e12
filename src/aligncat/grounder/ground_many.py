"""Ground phrases in any number of photos: reading, the detector and the caller work side by side.

`Grounder.ground`, `aligncat ground` and whatever else answers phrases go through `ground_photos`.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PIL import Image

from aligncat.errors import AligncatError, ConfigError, ImageError, NothingFoundError
from aligncat.files.given_images import ImageInput, as_rgb, image_path
from aligncat.files.images import decode_image
from aligncat.grounder.candidate_grounder import CandidateGrounder
from aligncat.grounder.doubts import Thresholds
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.matcher import Matcher, required_matcher
from aligncat.locations import Location, RemotePath
from aligncat.store.sources import Stamp, read_source
from aligncat.types import Candidates

if TYPE_CHECKING:
    from aligncat.store.by_content import StoredPhotos

_STORED = 8  # photos read at once where a store has the candidates, so that the detector's batch size is not asked for
_WAITING = 2  # batches that are read or answered while the caller works on an earlier one

Pair: TypeAlias = "tuple[ImageInput, str | Sequence[str]]"
"""An image and one or several phrases."""


@dataclass(frozen=True, slots=True)
class PhotoAnswer:
    """The answers for one photo.

    Attributes:
        image: the image as it was given.
        size: (width, height) in pixels of the photo as it is shown; None if it could not be read.
        groundings: one grounding per phrase, in order, without those that the thresholds left out.
        left_out: the groundings that the thresholds left out.
        error: why there are no answers: the photo cannot be read, or the detector finds nothing in it; None otherwise.
        stamp: what the photo's file was when it was read; None if the image is no file or could not be read.
    """

    image: ImageInput
    size: tuple[int, int] | None = None
    groundings: tuple[Grounding, ...] = ()
    left_out: tuple[Grounding, ...] = ()
    error: AligncatError | None = None
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """How phrases are answered.

    Attributes:
        several: whether a phrase for several objects is answered with all of them.
        top: the number of best candidates in `Grounding.answers`; 1 for none beside the choice.
        thresholds: the least probabilities of an answer.
        together: whether the phrases of all photos of a batch are scored at once. That is faster, and the last bits of
            an answer then depend on what else is in its batch.
    """

    several: bool = False
    top: int = 1
    thresholds: Thresholds = field(default_factory=Thresholds)
    together: bool = False

    def check(self, matcher: Matcher | None) -> None:
        """Check that a grounder can answer so.

        Raises:
            ConfigError: the settings contradict each other, or need a calibrated grounder.
        """
        if self.top < 1:
            raise ConfigError(f"--top is {self.top}: give the number of candidates, at least 1")
        if self.several and self.top > 1:
            raise ConfigError(
                "--several and --top contradict each other: all objects of a phrase, or the N best; give one"
            )
        if self.several or self.thresholds.match is not None:
            required_matcher(matcher)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A photo that was read.

    Attributes:
        picture: its pixels; None if a store has its candidates, or it is the photo before it again.
        stored: its id in the store, if it is there.
        error: why it cannot be read.
        stamp: see `PhotoAnswer`.
    """

    picture: Image.Image | None = None
    stored: str | None = None
    error: ImageError | None = None
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """A photo and its phrases; `again` if the photo is that of the question before."""

    image: ImageInput
    phrases: list[str]
    again: bool


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in a photo: its candidates, or why there are none."""

    opened: _Opened
    candidates: Candidates | None
    error: AligncatError | None = None


def ground_photos(
    grounder: CandidateGrounder,
    pairs: Iterable[Pair],
    *,
    answering: Answering,
    batch_size: int | None = None,
    store: StoredPhotos | None = None,
    skip_bad_images: bool = False,
) -> Iterator[PhotoAnswer]:
    """Return an iterator of the answers, one for each pair, in order; see `Grounder.ground_many`.

    Raises:
        ConfigError: the settings contradict each other, or need a calibrated grounder.
    """
    answering.check(grounder.matcher)
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size is {batch_size}: give the number of photos, at least 1")
    return _answers(_Job(grounder, answering, batch_size, store), pairs, skip_bad_images)


def _answers(job: _Job, pairs: Iterable[Pair], skip_bad_images: bool) -> Iterator[PhotoAnswer]:
    reading, detecting = ThreadPoolExecutor(2, "aligncat read"), ThreadPoolExecutor(1, "aligncat detect")
    waiting: deque[Future[list[PhotoAnswer]]] = deque()
    try:
        for batch in job.batches(pairs):
            opened = [reading.submit(job.open, each) for each in batch]
            waiting.append(detecting.submit(job.answer, batch, opened))
            if len(waiting) > _WAITING:
                yield from _checked(waiting.popleft().result(), skip_bad_images)
        while waiting:
            yield from _checked(waiting.popleft().result(), skip_bad_images)
    finally:
        # First the reading: a batch that waits for photos nobody reads any more would never end.
        detecting.shutdown(wait=False, cancel_futures=True)
        reading.shutdown()
        detecting.shutdown()


def _checked(answers: list[PhotoAnswer], skip_bad_images: bool) -> Iterator[PhotoAnswer]:
    for answer in answers:
        if answer.error is not None and not skip_bad_images:
            raise answer.error
        yield answer


class _Job:
    """Reads photos, finds their candidates and grounds their phrases.

    Args:
        grounder: the grounder.
        answering: how phrases are answered.
        batch_size: the number of photos in a batch; None for the detector's.
        store: the candidates of photos that were extracted before.
    """

    def __init__(
        self, grounder: CandidateGrounder, answering: Answering, batch_size: int | None, store: StoredPhotos | None
    ) -> None:
        self._grounder = grounder
        self._answering = answering
        self._batch_size = batch_size
        self._store = store
        self._last: _Found | None = None

    def batches(self, pairs: Iterable[Pair]) -> Iterator[list[_Question]]:
        """Yield the questions in batches. The phrases of a pair are checked before the detector is loaded for it."""
        batch: list[_Question] = []
        before: Location | None = None
        size = self._batch_size or (None if self._store is None else _STORED)
        for image, expressions in pairs:
            phrases = self._grounder.check_expressions(expressions)
            path = Path(image) if isinstance(image, str) else image if isinstance(image, Path | RemotePath) else None
            batch.append(_Question(image, phrases, again=path is not None and path == before))
            before = path
            size = size or self._grounder.detector.batch_size
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def open(self, question: _Question) -> _Opened:
        """Read a photo, and decode it unless the store has its candidates."""
        if question.again:
            return _Opened()
        stamp = None
        try:
            if not isinstance(question.image, str | Path | RemotePath):
                return _Opened(as_rgb(question.image))
            path = question.image if isinstance(question.image, RemotePath) else image_path(question.image)
            content, stamp = read_source(path)
            stored = None if self._store is None else self._store.find(stamp)
            picture = None if stored is not None else decode_image(io.BytesIO(content), str(path))
        except ImageError as error:
            return _Opened(error=error, stamp=stamp)
        return _Opened(picture, stored, stamp=stamp)

    def answer(self, batch: Sequence[_Question], opening: Sequence[Future[_Opened]]) -> list[PhotoAnswer]:
        """Answer the questions of a batch."""
        opened = [each.result() for each in opening]
        detected = iter(self._detect([each.picture for each in opened if each.picture is not None]))
        found = []
        for question, photo in zip(batch, opened, strict=True):
            if not question.again or self._last is None:
                self._last = self._find(photo, detected)
            found.append(self._last)
        asked = [
            (each.candidates, question.phrases)
            for question, each in zip(batch, found, strict=True)
            if each.candidates is not None and len(each.candidates)
        ]
        groundings = self._ground(asked)
        return [self._answer(question, each, groundings) for question, each in zip(batch, found, strict=True)]

    def _detect(self, pictures: Sequence[Image.Image]) -> Iterator[Candidates]:
        if not pictures:  # the detector is not loaded
            return
        detector = self._grounder.detector
        size = self._batch_size or detector.batch_size
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            yield from detector.detect(part, ["image"] * len(part))

    def _find(self, photo: _Opened, detected: Iterator[Candidates]) -> _Found:
        if photo.error is not None:
            return _Found(photo, None, photo.error)
        if photo.stored is not None and self._store is not None:
            return _Found(photo, self._store.candidates(photo.stored))
        return _Found(photo, next(detected))

    def _ground(self, asked: Sequence[tuple[Candidates, Sequence[str]]]) -> Iterator[list[Grounding]]:
        how = self._answering
        for some in [asked] if how.together else [[each] for each in asked]:
            yield from self._grounder.ground_images(some, several=how.several, top=how.top)

    def _answer(self, question: _Question, found: _Found, groundings: Iterator[list[Grounding]]) -> PhotoAnswer:
        """Return the answer to a question. It takes the next groundings if the photo has candidates."""
        if found.candidates is None:
            return PhotoAnswer(question.image, error=found.error, stamp=found.opened.stamp)
        size, how = (found.candidates.width, found.candidates.height), self._answering
        if not len(found.candidates):
            error = NothingFoundError(f"{_name(question.image)}the detector found nothing in the image; try another")
            return PhotoAnswer(question.image, size, error=error, stamp=found.opened.stamp)
        kept = [(how.thresholds.kept(each, top=how.top > 1), each) for each in next(groundings)]
        return PhotoAnswer(
            question.image,
            size,
            tuple(left for left, _ in kept if left is not None),
            tuple(each for left, each in kept if left is None),
            stamp=found.opened.stamp,
        )


def _name(image: ImageInput) -> str:
    return f"{image}: " if isinstance(image, str | Path | RemotePath) else ""
