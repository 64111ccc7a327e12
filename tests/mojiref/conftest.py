"""One small MojiRef for all tests of this folder, because drawing every glyph the first time is slow."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.checker import FLAVOURS, MojiRefFiles

from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig


@pytest.fixture(scope="session")
def mojiref(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small MojiRef."""
    return make_mojiref(
        out=tmp_path_factory.mktemp("mojiref") / "small", recipe=MojiRefConfig(train=150, val=40, test=30)
    )


@pytest.fixture(scope="session")
def flavours(mojiref: Path) -> dict[str, MojiRefFiles]:
    """Flavour -> its files."""
    return {flavour: MojiRefFiles(mojiref, flavour) for flavour in FLAVOURS}
