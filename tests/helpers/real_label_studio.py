"""A real Label Studio for tests, from its own environment: a process with a new SQLite database on a free port."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

COMMAND = "ALIGNCAT_LABEL_STUDIO"
"""The environment variable with the path of the command `label-studio`."""
_TOKEN = "0123456789abcdef0123456789abcdef01234567"
_START_SECONDS = 600.0  # it makes its database first


def command() -> str | None:
    """Return the path of `label-studio`, or None where it is not installed."""
    return os.environ.get(COMMAND) or shutil.which("label-studio")


@dataclass(frozen=True)
class RealLabelStudio:
    """A running Label Studio.

    Attributes:
        url: its address.
        token: the legacy token of its user.
        http: asks its API as this user.
    """

    url: str
    token: str
    http: httpx.Client

    def ask(self, method: str, path: str, expected: int = 200, **given: Any) -> Any:
        """Return the JSON of an answer of the API."""
        reply = self.http.request(method, path, **given)
        assert reply.status_code == expected, reply.text
        return reply.json() if reply.content else None

    def personal_token(self) -> str:
        """Return a new personal access token, a JWT."""
        return str(self.ask("POST", "/api/token/", 201, json={})["token"])


@contextmanager
def real_label_studio(executable: str, folder: Path, photos: Path) -> Iterator[RealLabelStudio]:
    """Run Label Studio until the end of the block.

    Args:
        executable: the path of `label-studio`.
        folder: where it keeps its database and uploads.
        photos: the folder whose photos its local storages may serve.
    """
    folder.mkdir()
    variables = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_USER_TOKEN": _TOKEN,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(photos),
        "USE_DEFAULT_BANNED_SUBNETS": "false",  # the backend is on this machine; docs/label-studio.md
        # Its usual times are too short for a machine that runs other tests.
        **dict.fromkeys(
            ("ML_CONNECTION_TIMEOUT", "ML_TIMEOUT_HEALTH", "ML_TIMEOUT_SETUP", "ML_TIMEOUT_PREDICT"), "300"
        ),
        # Nothing is sent to anybody.
        **{"SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false"},
    }
    words = ["start", "--no-browser", "--internal-host", "127.0.0.1", "--port", "8085"]  # if taken, it looks further
    user = ["--username", "tests@example.org", "--password", "for the tests"]
    log = folder / "log"
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DEBUG")}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [executable, *words, *user],
            env={**environment, **variables},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        url = _url(process, log)
        headers = {"Authorization": f"Token {_TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=300, trust_env=False) as http:
            yield RealLabelStudio(url, _TOKEN, http)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _url(process: subprocess.Popen[bytes], log: Path) -> str:
    until = time.monotonic() + _START_SECONDS
    while True:
        said = log.read_text(errors="replace")
        assert process.poll() is None and time.monotonic() < until, said
        if found := re.search(r"development server at (http://127\.0\.0\.1:\d+)", said):
            return found[1]
        time.sleep(0.5)
