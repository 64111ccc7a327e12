"""What becomes a batch, and what a queue refuses."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from helpers.served import BROKEN, SMALL, HeldDetector, png

from aligncat.errors import ConfigError, ImageError
from aligncat.geometry import MAX_PIXELS
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.grounder import Grounder
from aligncat.serving.device_queue import DeviceQueue, Question
from aligncat.serving.limits import Limits
from aligncat.serving.refusals import Refusal

MANY = replace(SMALL, queue=50)


def question(grounder: Grounder, *, size: tuple[int, int] = (48, 40), wait: float = 60.0, **settings: Any) -> Question:
    pixels = settings.pop("pixels", size[0] * size[1])
    answering = Answering(**settings)
    return Question(grounder, png(*size), pixels, ["red mug"], answering, wait, time.monotonic() + wait)


def test_what_waits_is_asked_together_up_to_the_batch_size_of_the_detector(held: HeldDetector) -> None:
    grounder = held.grounder()
    queue = DeviceQueue(MANY)
    held.go.clear()
    questions = [question(grounder, size=(20 + number, 30)) for number in range(10)]
    queue.put(questions[:1])
    assert held.begun.wait(30)
    queue.put(questions[1:])
    held.go.set()
    assert [each.answer.result(60).size for each in questions] == [(20 + number, 30) for number in range(10)]
    assert held.batches == [1, 4, 4, 1]
    queue.close()


def test_a_batch_has_one_grounder_one_kind_of_answer_and_not_too_many_pixels(held: HeldDetector) -> None:
    one, other = held.grounder(), held.grounder()
    queue = DeviceQueue(replace(MANY, batch=3))
    held.go.clear()
    queue.put([question(one)])
    assert held.begun.wait(30)
    large = MAX_PIXELS // 2 + 1
    asked = [question(one), question(other), question(one, top=2), question(one), question(other), question(one)]
    asked += [question(one, pixels=large), question(one, pixels=large)]
    queue.put(asked)
    held.go.set()
    for each in asked:
        each.answer.result(60)
    assert held.batches == [1, 3, 2, 1, 1, 1]
    queue.close()


def test_an_error_has_one_question(held: HeldDetector) -> None:
    grounder = held.grounder()
    queue = DeviceQueue(MANY)
    held.go.clear()
    first, good, broken = question(grounder), question(grounder), question(grounder, size=BROKEN)
    unreadable = replace_photo(question(grounder), png()[:80])
    queue.put([first])
    assert held.begun.wait(30)
    queue.put([good, broken, unreadable])
    held.go.set()
    assert good.answer.result(60).groundings
    with pytest.raises(RuntimeError, match="too much"):
        broken.answer.result(60)
    assert isinstance(unreadable.answer.result(60).error, ImageError)
    queue.close()


def replace_photo(asked: Question, photo: bytes) -> Question:
    return Question(asked.grounder, photo, asked.pixels, asked.phrases, asked.answering, asked.seconds, asked.expires)


def test_a_queue_takes_all_questions_of_a_client_or_none(held: HeldDetector) -> None:
    grounder = held.grounder()
    queue = DeviceQueue(SMALL)
    held.go.clear()
    queue.put([question(grounder)])
    assert held.begun.wait(30)
    waiting = [question(grounder) for _ in range(3)]
    queue.put(waiting)
    with pytest.raises(Refusal, match="3 photos are waiting") as raised:
        queue.put([question(grounder), question(grounder)])
    assert (raised.value.status, len(queue)) == (429, 3)
    waiting[0].answer.cancel()
    queue.put([question(grounder), question(grounder)])  # who left has made room
    held.go.set()
    queue.close()
    assert waiting[1].answer.result(0).groundings
    with pytest.raises(Refusal, match="stopping"):
        queue.put([question(grounder)])


def test_a_question_that_could_not_be_answered_in_time_is_refused_at_once(held: HeldDetector) -> None:
    grounder = held.grounder()
    queue = DeviceQueue(MANY)
    held.go.clear()
    queue.put([question(grounder)])
    assert held.begun.wait(30)
    queue.put([question(grounder) for _ in range(5)])
    queue._seconds = 2.0  # as if photos took so long
    with pytest.raises(Refusal, match="take about 12 seconds") as raised:
        queue.put([question(grounder, wait=10)])
    assert raised.value.headers == {"Retry-After": "12"}
    queue.put([question(grounder, wait=20)])
    held.go.set()
    queue.close()


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"queue": 0}, "limits.queue is 0: give a number above 0"),
        ({"answer_seconds": float("nan")}, "limits.answer_seconds is nan"),
        ({"photo_pixels": 10**9}, "no photo of more than 64,000,000 is read"),
        ({"queue": 10}, r"limits.photos is 32, more than may wait \(limits.queue 10\)"),
        ({"memory": 10}, "limits.memory is 10, less than one request may have"),
    ],
)
def test_impossible_limits_are_refused(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Limits(**limits)
