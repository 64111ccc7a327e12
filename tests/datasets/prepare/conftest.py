"""A local web server as a fixture."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from helpers.site_server import Site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A local web server; downloads do not wait between attempts."""
    monkeypatch.setattr("aligncat.datasets.prepare.download._WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
