"""Photos are read, detected and answered side by side: each part waits here for another that is ahead of or behind it.

A part that did not run beside the others would wait for ever; here it fails after PATIENCE.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from helpers.tiny_run import World
from PIL import Image

from aligncat.datasets.load import load_split
from aligncat.detectors.protocol import Detector
from aligncat.grounder.ground_many import Answering, Pair
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.matcher import Matcher
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers import part
from aligncat.grounder.writers.formats import find_format
from aligncat.grounder.writers.output import Output
from aligncat.grounder.writers.write import write_answers
from aligncat.types import Candidates

PATIENCE = 60.0  # seconds
PHOTOS = 6


def wait(event: Event, what: str) -> None:
    assert event.wait(PATIENCE), f"{what} did not happen meanwhile"


@pytest.fixture
def paths(world: World) -> list[Path]:
    return [image.path for image in load_split(world.data, "train").images.values()][:PHOTOS]


class WaitingDetector:
    """A detector that takes one photo at a time, and calls a function with the photo's number before it looks."""

    batch_size = 1

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.begun = [Event() for _ in range(PHOTOS)]
        self.before: Any = lambda number: None
        self._next = 0

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        number, self._next = self._next, self._next + 1
        self.begun[number].set()
        self.before(number)
        return self.detector.detect(images, ids)


@pytest.fixture
def grounder(trained: Path) -> Grounder:
    found = Grounder.from_pretrained(trained)
    found._detector = WaitingDetector(found.detector)  # type: ignore[assignment]
    return found


class OpenedPhoto(io.BytesIO):
    """A photo's open file, which tells when it is read."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.opened = Event()

    def read(self, size: int | None = -1, /) -> bytes:
        self.opened.set()
        return super().read(size)


def test_while_a_photo_is_detected_the_next_one_is_read_and_the_one_before_it_is_answered(
    grounder: Grounder, paths: list[Path]
) -> None:
    files = [OpenedPhoto(path.read_bytes()) for path in paths]
    answered = [Event() for _ in files]
    detector: Any = grounder.detector

    def before(number: int) -> None:
        if number + 1 < PHOTOS:
            wait(files[number + 1].opened, "reading the next photo")
        if number:
            wait(answered[number - 1], "the caller's work on the answer before")

    detector.before = before

    def pairs() -> Iterator[Pair]:
        yield from ((file, "dog") for file in files)

    for number, answer in enumerate(grounder.ground_many(pairs())):
        assert answer.image is files[number] and len(answer.groundings) == 1
        answered[number].set()
    assert all(each.is_set() for each in answered) and detector.begun[-1].is_set()


class WaitingGrounder:
    """A grounder whose answers, when they are written, first wait for the detector to begin the photo of `until`."""

    def __init__(self, grounder: Grounder, until: dict[int, int]) -> None:
        self._grounder, self._until, self._next = grounder, until, 0
        self.detector: Any = grounder.detector
        self.matcher: Matcher | None = None
        self.labels = grounder.labels
        self.fingerprint = grounder.fingerprint
        self.check_expressions = grounder.check_expressions

    def ground_images(
        self, asked: Sequence[tuple[Candidates, Sequence[str]]], *, several: bool = False, top: int = 1
    ) -> list[list[Grounding]]:
        until = self._until.get(self._next)
        self._next += 1
        begun: Event | None = None if until is None else self.detector.begun[until]

        class Waiting(Grounding):
            def to_dict(self) -> dict[str, Any]:
                if begun is not None:
                    wait(begun, "detecting the next part")
                return Grounding.to_dict(self)

        [found] = self._grounder.ground_images(asked, several=several, top=top)
        return [[Waiting(**{each.name: getattr(one, each.name) for each in fields(one)}) for one in found]]


def test_while_photos_are_detected_the_answers_for_earlier_ones_are_written(
    grounder: Grounder, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer of part n waits for the detector to begin part n + 1, which there waits for the file of part n."""
    monkeypatch.setattr(part, "PART", 2)
    out = tmp_path / "out.jsonl"
    parts = tmp_path / "out.jsonl.unfinished"
    written: list[int] = []

    def before(number: int) -> None:
        part = number // 2
        if part:
            file = parts / f"part-{part - 1:06d}.jsonl"
            never = Event()
            for _ in range(int(PATIENCE * 100)):
                if file.exists():
                    break
                never.wait(0.01)
            assert file.exists(), "writing the part before did not happen meanwhile"
            written.append(part - 1)

    waiting = WaitingGrounder(grounder, until={0: 2, 1: 2, 2: 4, 3: 4})
    waiting.detector.before = before
    requests = [Request(path.name, path, ("dog", "red person")) for path in paths]
    done = write_answers(waiting, requests, Output(out, find_format(None, out)), answering=Answering())
    assert (done.photos, done.answers, written) == (PHOTOS, 2 * PHOTOS, [0, 0, 1, 1])
    assert len(out.read_text(encoding="utf-8").splitlines()) == 2 * PHOTOS
