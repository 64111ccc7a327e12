"""What a server does with photos and phrases, apart from HTTP: it checks them, queues them and waits for answers."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aligncat.errors import ConfigError, DataError, ImageError, LargeImageError, NothingFoundError
from aligncat.files.images import check_size, open_header
from aligncat.grounder.doubts import Thresholds
from aligncat.grounder.ground_many import Answering, PhotoAnswer
from aligncat.grounder.photo_grounder import PhotoGrounder
from aligncat.serving.device_queue import DeviceQueue, Question
from aligncat.serving.limits import Limits
from aligncat.serving.refusals import Refusal, late, too_large, unusable
from aligncat.wording import did_you_mean


@dataclass(frozen=True, slots=True)
class Asked:
    """A photo and its phrases, as a client sends them.

    Attributes:
        photo: the photo's file.
        phrases: the phrases, at least one.
        grounder: the name of the grounder; None for the first one.
        several: see `Grounder.ground`.
        top: see `Grounder.ground`.
        thresholds: the least probabilities of an answer.
        seconds: how long the client waits; None for as long as the server allows.
        candidates: whether all candidates are wanted, with their scores and the weights of words.
    """

    photo: bytes
    phrases: Sequence[str]
    grounder: str | None = None
    several: bool = False
    top: int = 1
    thresholds: Thresholds = field(default_factory=Thresholds)
    seconds: float | None = None
    candidates: bool = False


class Gone(Exception):  # noqa: N818  # not an error: nobody is told
    """The client has left, so there is nobody to answer."""


class Service:
    """Answers photos and phrases with named grounders. Each device has one queue.

    Attributes:
        grounders: the grounders by name; the first is asked if a request names none.
        limits: what is accepted.
        queues: the queue of each device.
        answered: how many photos were answered.
    """

    def __init__(
        self,
        grounders: Mapping[str, PhotoGrounder],
        limits: Limits,
        *,
        on_batch: Callable[[int], None] = lambda photos: None,
    ) -> None:
        """Start the queues; `close` ends them.

        Args:
            grounders: the grounders by name, at least one. Their detectors are loaded here.
            limits: what is accepted.
            on_batch: called with the number of photos of each batch.

        Raises:
            DetectorError: a detector cannot be loaded.
        """
        self.grounders = dict(grounders)
        self.limits = limits
        self.answered = 0
        self._devices = {name: each.detector.device for name, each in self.grounders.items()}
        self.queues = {device: DeviceQueue(limits, on_batch=on_batch) for device in sorted({*self._devices.values()})}

    @property
    def ready(self) -> bool:
        """Whether every queue takes questions."""
        return all(queue.alive for queue in self.queues.values())

    def close(self) -> None:
        """Answer what was taken, and stop."""
        for queue in self.queues.values():
            queue.close()

    def question(self, asked: Asked) -> tuple[str, Question]:
        """Return the name of the device and the question, after all checks that need no pixel of the photo.

        Raises:
            Refusal: the grounder is unknown, or the photo, the phrases or the settings cannot be used.
        """
        name = asked.grounder or next(iter(self.grounders))
        grounder = self.grounders.get(name)
        if grounder is None:
            raise Refusal(
                404,
                "unknown_grounder",
                f"there is no grounder {name!r}; GET /v1/grounders lists them{did_you_mean(name, self.grounders)}",
            )
        answering = Answering(asked.several, asked.top, asked.thresholds, together=True)
        try:
            answering.check(grounder.matcher)
        except ConfigError as error:
            raise unusable("impossible_settings", str(error).replace("--", "")) from error
        phrases = self._phrases(grounder, asked.phrases)
        pixels = self.pixels(asked.photo)
        seconds = min(asked.seconds or self.limits.answer_seconds, self.limits.answer_seconds)
        expires = time.monotonic() + seconds
        question = Question(grounder, asked.photo, pixels, phrases, answering, seconds, expires)
        return self._devices[name], question

    def name_of(self, question: Question) -> str:
        """Return the name of the grounder of a question."""
        return next(name for name, each in self.grounders.items() if each is question.grounder)

    async def answers(
        self, questions: Sequence[tuple[str, Question]], gone: Callable[[], Awaitable[None]]
    ) -> list[PhotoAnswer | BaseException]:
        """Ask questions, and return the answer or the error of each.

        Args:
            questions: from `question`.
            gone: returns when the client has left.

        Raises:
            Gone: the client has left; what the device had not begun was taken back.
            Refusal: a queue is full.
        """
        pending = []
        try:
            for device in self.queues:
                here = [question for name, question in questions if name == device]
                if here:
                    self.queues[device].put(here)
                    pending += here
            return await self._wait([question for _, question in questions], gone)
        finally:
            for each in pending:
                each.answer.cancel()

    async def _wait(
        self, questions: Sequence[Question], gone: Callable[[], Awaitable[None]]
    ) -> list[PhotoAnswer | BaseException]:
        leaving = asyncio.ensure_future(gone())
        together = asyncio.create_task(_all_in_time(questions))
        try:
            waited: set[asyncio.Future[Any]] = {leaving, together}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not together.done():
                raise Gone
            return together.result()
        finally:
            leaving.cancel()
            together.cancel()

    def _phrases(self, grounder: PhotoGrounder, phrases: Sequence[str]) -> list[str]:
        limits = self.limits
        if len(phrases) > limits.phrases:
            raise too_large(
                "too_many_phrases", f"{len(phrases):,} phrases; the limit is {limits.phrases} for one photo"
            )
        longest = max(map(len, phrases), default=0)
        if longest > limits.phrase_length:
            raise too_large(
                "phrase_too_long", f"a phrase has {longest:,} characters; the limit is {limits.phrase_length}"
            )
        try:
            return grounder.check_expressions(phrases)
        except DataError as error:
            raise unusable("no_words", str(error)) from error

    def pixels(self, photo: bytes) -> int:
        """Return the number of pixels that a photo's header declares; nothing is decoded.

        Raises:
            Refusal: it has too many bytes or pixels, or is no photo.
        """
        where, most = "the photo", self.limits.photo_bytes
        if len(photo) > most:
            raise too_large("photo_too_large", f"{where} has {len(photo):,} bytes; the limit is {most:,}")
        try:
            with open_header(io.BytesIO(photo), where) as image:
                size = image.size
            check_size(size, where, max_pixels=self.limits.photo_pixels)
        except ImageError as error:
            raise unusable_photo(error) from error
        return size[0] * size[1]


async def _all_in_time(questions: Sequence[Question]) -> list[PhotoAnswer | BaseException]:
    # What `gather` returns would write to the log if it is cancelled and nobody looks at it.
    return await asyncio.gather(*map(_in_time, questions), return_exceptions=True)


async def _in_time(question: Question) -> PhotoAnswer:
    try:
        async with asyncio.timeout(max(question.expires - time.monotonic(), 0)):
            return await asyncio.wrap_future(question.answer)
    except TimeoutError:
        raise late(question.seconds) from None


def good_answer(answer: PhotoAnswer | BaseException) -> PhotoAnswer:
    """Return an answer of `Service.answers`.

    Raises:
        Refusal: there is none, because of the photo or the phrases, or because it was not there in time.
        Exception: there is none, because of the server.
    """
    error = answer if isinstance(answer, BaseException) else answer.error
    if error is not None:
        raise refusal_of(error) or error
    assert not isinstance(answer, BaseException)
    return answer


def refusal_of(error: BaseException) -> Refusal | None:
    """Return the refusal that tells a client of an error with its photo or phrases; None if it is the server's."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, ImageError):
        return unusable_photo(error)
    return unusable("not_answered", str(error)) if isinstance(error, (DataError, NothingFoundError)) else None


def unusable_photo(error: ImageError) -> Refusal:
    """Return the refusal of a photo that cannot be read, which has no name here."""
    message = str(error).removeprefix("the photo: ").removeprefix("the image: ").replace("the image", "the photo", 1)
    if isinstance(error, LargeImageError):
        return too_large("photo_too_large", message)
    return unusable("photo_unreadable", message)
