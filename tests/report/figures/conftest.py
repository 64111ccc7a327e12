from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from helpers.report_figures import MakeAnswers, fabricate_answers

pytest.importorskip("matplotlib", reason="figures need the extra [report]")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder of the answers' pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def make_answers(pictures: Path) -> MakeAnswers:
    """`fabricate_answers` with pictures on disk."""
    return partial(fabricate_answers, pictures)
