"""Fixtures of the tests of the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.served import SMALL, HeldDetector, Served, served

from aligncat.serving.app import AppSettings


@pytest.fixture
def held(tiny_detector: Path) -> HeldDetector:
    return HeldDetector(tiny_detector)


@pytest.fixture
def server(held: HeldDetector) -> Iterator[Served]:
    """Return a server with small limits, whose grounder uses the held detector."""
    with served({"free": held.grounder()}, AppSettings(SMALL)) as found:
        yield found
        held.go.set()
