"""Fixtures that several rooms' tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_detector import save_tiny_detector


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Mask2Former with random weights."""
    return save_tiny_detector(tmp_path_factory.mktemp("detector") / "tiny")
