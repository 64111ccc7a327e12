"""A server with the page: a calibrated grounder, and the training-free one, both with the tiny detector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.served import Served, served

from aligncat.grounder.grounder import Grounder
from aligncat.serving.app import AppSettings
from aligncat.serving.limits import Limits

LIMITS = Limits(photo_bytes=300_000, photo_pixels=1_000_000, phrases=5, phrase_length=80)


@pytest.fixture(scope="session")
def page_server(calibrated: Path, tiny_detector: Path) -> Iterator[Served]:
    grounders = {
        "mine": Grounder.from_pretrained(calibrated),
        "free": Grounder.from_pretrained("training-free", detector=tiny_detector),
    }
    with served(grounders, AppSettings(LIMITS, page=True)) as found:
        yield found
