"""The queue of a device. One thread takes what waits, some photos at once; each question gets its own answer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from aligncat.geometry import MAX_PIXELS
from aligncat.grounder.ground_many import Answering, PhotoAnswer, ground_photos
from aligncat.grounder.photo_grounder import PhotoGrounder
from aligncat.serving.limits import Limits
from aligncat.serving.refusals import busy, late, stopping

_PIXELS_AT_ONCE = MAX_PIXELS  # of all photos of a batch together, so that its memory does not depend on its size
_RECENT = 0.2  # the weight of the last batch in the mean time of a photo


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A photo and its phrases, which wait for an answer.

    Attributes:
        grounder: the grounder to ask.
        photo: the photo's file.
        pixels: its width times its height, as its header says.
        phrases: its phrases, checked.
        answering: how they are answered.
        seconds: how long the client waits.
        expires: until when, on the clock of `time.monotonic`.
        answer: the answer, once it is there; whoever cancels it takes the question back.
    """

    grounder: PhotoGrounder
    photo: bytes
    pixels: int
    phrases: Sequence[str]
    answering: Answering
    seconds: float
    expires: float
    answer: Future[PhotoAnswer] = field(default_factory=Future)


class DeviceQueue:
    """Answers questions one batch after another. Questions of a batch share their grounder and their settings.

    A batch is what waits when the device becomes free, so that a question never waits for others to come. If a batch
    fails, its questions are asked again one by one, so that an error has one question.
    """

    def __init__(self, limits: Limits, *, on_batch: Callable[[int], None] = lambda photos: None) -> None:
        """Start the thread.

        Args:
            limits: how many questions may wait, and how many are asked at once.
            on_batch: called with the number of photos of each batch.
        """
        self._limits = limits
        self._on_batch = on_batch
        self._waiting: deque[Question] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._working = 0
        self._seconds = 0.0  # the mean time of a photo
        self._thread = threading.Thread(target=self._work, name="aligncat device", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether questions are taken."""
        return self._thread.is_alive() and not self._closed

    def put(self, questions: Sequence[Question]) -> None:
        """Add questions, all or none.

        Args:
            questions: the questions of one client.

        Raises:
            Refusal: the queue is full, so long that they would not be answered in time, or closed.
        """
        with self._changed:
            if self._closed:
                raise stopping()
            self._waiting = deque(each for each in self._waiting if not each.answer.done())
            ahead = len(self._waiting)
            wait = (ahead + self._working) * self._seconds
            if ahead + len(questions) > self._limits.queue:
                raise busy("queue_full", f"{ahead} photos are waiting; try again later", wait)
            if ahead and wait > min(each.seconds for each in questions):
                message = f"the {ahead} photos that are waiting take about {wait:.0f} seconds; try again later"
                raise busy("queue_full", message, wait)
            self._waiting.extend(questions)
            self._changed.notify()

    def close(self) -> None:
        """Take no more questions, answer those that wait, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            started = time.monotonic()
            self._on_batch(len(batch))
            _answer(batch)
            spent = (time.monotonic() - started) / len(batch)
            self._seconds = spent if not self._seconds else (1 - _RECENT) * self._seconds + _RECENT * spent

    def _next(self) -> list[Question]:
        """Wait for questions, and take the oldest with all that can be asked beside it; none after the last."""
        with self._changed:
            self._working = 0
            while True:
                while not self._waiting:
                    if self._closed:
                        return []
                    self._changed.wait()
                if batch := [each for each in self._take() if _is_wanted(each)]:
                    self._working = len(batch)
                    return batch

    def _take(self) -> list[Question]:
        first = self._waiting[0]
        most = self._limits.batch or first.grounder.detector.batch_size
        taken: list[Question] = []
        left: deque[Question] = deque()
        pixels = 0
        for each in self._waiting:
            alike = each.grounder is first.grounder and each.answering == first.answering
            if each is first or (alike and len(taken) < most and pixels + each.pixels <= _PIXELS_AT_ONCE):
                taken.append(each)
                pixels += each.pixels
            else:
                left.append(each)
        self._waiting = left
        return taken


def _is_wanted(question: Question) -> bool:
    """Return whether somebody still waits for an answer, which nobody can take back from now on."""
    if not question.answer.set_running_or_notify_cancel():
        return False
    if time.monotonic() < question.expires:
        return True
    question.answer.set_exception(late(question.seconds))
    return False


def _answer(batch: Sequence[Question]) -> None:
    first = batch[0]
    try:
        answers = list(
            ground_photos(
                first.grounder,
                [(each.photo, each.phrases) for each in batch],
                answering=first.answering,
                batch_size=len(batch),
                skip_bad_images=True,
            )
        )
    except Exception as error:  # also what no class of ours names, such as a device without memory
        if len(batch) == 1:
            first.answer.set_exception(error)
        else:
            for each in batch:
                _answer([each])
        return
    for each, answer in zip(batch, answers, strict=True):
        each.answer.set_result(answer)
