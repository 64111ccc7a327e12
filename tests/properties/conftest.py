"""Fixtures of the tests that run verbs in forks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from helpers.killed_verbs import Runner, runner
from helpers.site_server import Site
from helpers.tiny_run import World
from helpers.tiny_verbs import Bench, Case, make_cases


@pytest.fixture(scope="session")
def forks() -> Iterator[Runner]:
    with runner() as started:
        yield started


@pytest.fixture(scope="session")
def cases(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Case]]:
    root = tmp_path_factory.mktemp("inputs")
    site = Site()
    Thread(target=site.serve_forever, daemon=True).start()
    try:
        yield make_cases(root, world, site)
    finally:
        site.shutdown()


@pytest.fixture
def bench(forks: Runner, cases: dict[str, Case], name: str, tmp_path: Path) -> Bench:
    """Return the verb of the test's parameter `name`."""
    return Bench(forks, cases[name], tmp_path / "watched")
