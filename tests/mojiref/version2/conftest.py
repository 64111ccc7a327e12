"""One small MojiRef of version 2 for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.checker_version2 import Version2Files, read_flavours

from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig


@pytest.fixture(scope="session")
def mojiref2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small MojiRef of version 2."""
    return make_mojiref(
        out=tmp_path_factory.mktemp("mojiref2") / "small", version=2, recipe=MojiRefConfig(train=60, val=20, test=20)
    )


@pytest.fixture(scope="session")
def flavours2(mojiref2: Path) -> dict[str, Version2Files]:
    """Flavour -> its files."""
    return read_flavours(mojiref2)
