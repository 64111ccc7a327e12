"""Photos, and the store that one process makes of them."""

from __future__ import annotations

import pytest
from helpers.worker_runs import by_one, hashes, write_photos

from aligncat.store.photo import Photo


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    return [*write_photos(tmp_path_factory.mktemp("photos"))]


@pytest.fixture(scope="session")
def of_one_process(photos: list[Photo], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the hashes of the files of a store that one process made."""
    out = tmp_path_factory.mktemp("one") / "store"
    by_one(photos, out)
    return hashes(out)
