"""Servers for tests, with real sockets: one in a thread of the test, or `aligncat serve` in a process."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import open_detector
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.training_free import TrainingFreeGrounder
from aligncat.serving.app import AppSettings, make_app
from aligncat.serving.limits import Limits
from aligncat.serving.run import address, listen, make_server, run
from aligncat.serving.service import Service
from aligncat.types import Candidates

ROOT = Path(__file__).resolve().parents[2]
SMALL = Limits(
    queue=4,
    photos=3,
    photo_bytes=200_000,
    photo_pixels=1_000_000,
    phrases=10,
    phrase_length=80,
    memory=1_000_000,
    receive_seconds=1.0,
    answer_seconds=30.0,
)
"""Limits that tests reach."""
BROKEN = (13, 13)
"""The size of photos in which `HeldDetector` fails."""


class HeldDetector:
    """A detector that waits until it is let go, records its batches, and fails on photos of the size BROKEN."""

    def __init__(self, folder: Path) -> None:
        self._detector: Detector = open_detector(str(folder))
        for name in ("labels", "feature_dim", "columns", "candidates", "device", "description"):
            setattr(self, name, getattr(self._detector, name))
        self.batch_size = 4
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.batches: list[int] = []

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        self.batches.append(len(images))
        self.begun.set()
        assert self.go.wait(60)
        if any(image.size == BROKEN for image in images):
            raise RuntimeError("this photo is too much: secret phrase")
        return [each for image in images for each in self._detector.detect([image], ["image"])]

    def grounder(self) -> TrainingFreeGrounder:
        return TrainingFreeGrounder.with_detector(self)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Served:
    """A server in a thread."""

    url: str
    service: Service

    @property
    def place(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").rsplit(":", 1)
        return host, int(port)


@contextmanager
def served(grounders: Mapping[str, Grounder], settings: AppSettings | None = None) -> Iterator[Served]:
    """Run a server in a thread until the end of the block."""
    settings = settings or AppSettings()
    app = make_app(grounders, settings)
    listening = listen("127.0.0.1", 0)
    server = make_server(app, settings.limits)
    thread = threading.Thread(target=run, args=(server, listening))
    thread.start()
    try:
        yield Served(address(listening), app.state.service)
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


@dataclass
class Process:
    """`aligncat serve` in a process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def serve_process(log: Path, *words: str, environment: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run the verb on a free port until the end of the block."""
    command = [sys.executable, "-m", "aligncat", "serve", *words, "--port", "0"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1", **(environment or {})}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file, env=variables)
    try:
        until = time.monotonic() + 300
        while not (found := re.search(r"(http://\S+) answers with", log.read_text())):
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield Process(found[1], process, log)
    finally:
        process.kill()
        process.wait()


def png(width: int = 48, height: int = 40, colour: str = "red") -> bytes:
    """Return a PNG of one colour with a lighter box in it."""
    image = Image.new("RGB", (width, height), colour)
    image.paste("white", (width // 4, height // 4, width // 2, height // 2))
    image.save(file := io.BytesIO(), "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Reply:
    """A response as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["error"]["code"])


def read_reply(connection: socket.socket) -> Reply:
    """Read one response with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, f"the connection ended after {data!r}"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers["content-length"]):
        part = connection.recv(65536)
        assert part
        body += part
    return Reply(int(first.split()[1]), headers, body)


def post(path: str, body: bytes, content_type: str = "application/json", **headers: str) -> bytes:
    """Return the bytes of a POST request."""
    lines = {"Host": "localhost", "Content-Type": content_type, "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def exchange(place: tuple[str, int], request: bytes) -> Reply:
    """Send bytes over a new connection, and read one response."""
    with socket.create_connection(place, 60) as connection:
        connection.sendall(request)
        return read_reply(connection)
