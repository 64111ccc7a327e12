"""Fixtures of the tests of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.served import HeldDetector, Served, served

from aligncat.serving.app import AppSettings
from aligncat.serving.limits import Limits

SMALL = Limits(
    queue=4,
    photos=3,
    photo_bytes=200_000,
    photo_pixels=1_000_000,
    phrases=10,
    phrase_length=80,
    memory=1_000_000,
    receive_seconds=1.0,
    answer_seconds=30.0,
)


@pytest.fixture
def held(tiny_detector: Path) -> HeldDetector:
    return HeldDetector(tiny_detector)


@pytest.fixture
def server(held: HeldDetector) -> Iterator[Served]:
    """Return a server with small limits, whose grounder uses the held detector."""
    with served({"free": held.grounder()}, AppSettings(SMALL)) as found:
        yield found
        held.go.set()
