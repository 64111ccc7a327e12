"""Many clients at once, of whose requests one in five is bad: every good answer is right, every bad one is refused.

    pytest -m slow tests/serving/test_load.py                                # half a minute
    ALIGNCAT_LOAD_SECONDS=600 pytest -m slow tests/serving/test_load.py      # ten minutes

The server is `aligncat serve` in a process with the shipped grounder; the clients are threads of this one.
"""

from __future__ import annotations

import io
import json
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.served import Reply, post, read_reply, serve_process
from helpers.uploads import BOUNDARY, END, FORM, PHRASE, as_json, part

from aligncat.files.images import decode_image
from aligncat.grounder.folder import SHIPPED
from aligncat.grounder.grounder import Grounder
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.recipe import MojiRefConfig

CLIENTS = int(os.environ.get("ALIGNCAT_LOAD_CLIENTS", "200"))
SECONDS = float(os.environ.get("ALIGNCAT_LOAD_SECONDS", "30"))
BAD = 0.2  # of the requests
PHRASES = ("red dog", "the cup on the left")


@dataclass
class Seen:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, status: int, wrong: str | None, seconds: float | None = None) -> None:
        with self.lock:
            self.statuses[f"{kind} {status}"] += 1
            self.wrong += [] if wrong is None else [wrong]
            self.seconds += [] if seconds is None else [seconds]


def broken(photo: bytes) -> dict[str, tuple[Callable[[socket.socket], Reply | None], set[int]]]:
    """Return bad requests by name: what a client does, and the statuses that it may get."""

    def sent(request: bytes) -> Callable[[socket.socket], Reply | None]:
        def send(connection: socket.socket) -> Reply | None:
            connection.sendall(request)
            return read_reply(connection)

        return send

    def left(connection: socket.socket) -> None:
        connection.sendall(as_json(photo))

    def slow(connection: socket.socket) -> Reply | None:
        connection.sendall(as_json(photo)[:-50])
        return read_reply(connection)

    def cut(connection: socket.socket) -> Reply | None:
        connection.sendall(as_json(photo)[:-50])
        connection.shutdown(socket.SHUT_WR)
        return read_reply(connection)

    huge = post("/v1/ground", b"", **{"Content-Length": str(10**10)})
    return {
        "broken": (sent(as_json(photo[: len(photo) // 2])), {422, 429}),
        "none": (sent(as_json(b"no photo at all")), {422}),
        "huge": (sent(huge), {413}),
        "type": (sent(post("/v1/ground", photo, "image/jpeg")), {415}),
        "cut": (cut, {400}),
        "slow": (slow, {408}),
        "left": (left, set()),
    }


@pytest.mark.slow
def test_many_clients(tmp_path: Path) -> None:
    make_mojiref(out=tmp_path / "data", recipe=MojiRefConfig(train=0, val=16, test=0, seed=0))
    photos = [path.read_bytes() for path in sorted((tmp_path / "data").rglob("*.jpg"))]
    grounder = Grounder.from_pretrained(SHIPPED)
    bare = detector_seconds(grounder, photos)
    expected = [[each.to_dict() for each in grounder.ground(photo, PHRASES)] for photo in photos]
    asks = [
        post("/v1/ground", part("photo", photo, "p.jpg") + PHRASE.replace(b"red mug", PHRASES[0].encode())
             + part("phrases", PHRASES[1].encode()) + END, FORM)
        for photo in photos
    ]  # fmt: skip
    assert BOUNDARY.encode() in asks[0]
    bad = broken(photos[0])
    seen, until = Seen(), threading.Event()

    def client(number: int, place: tuple[str, int]) -> None:
        chosen = random.Random(number)
        while not until.is_set():
            try:
                with socket.create_connection(place, 120) as connection:
                    connection.settimeout(120)
                    if chosen.random() < BAD:
                        name = chosen.choice(sorted(bad))
                        act, allowed = bad[name]
                        reply = act(connection)
                        status = 0 if reply is None else reply.status
                        wrong = None if reply is None or status in allowed else f"{name}: {status} {reply.body[:200]!r}"
                        seen.add(name, status, wrong)
                        continue
                    which = chosen.randrange(len(photos))
                    started = time.monotonic()
                    connection.sendall(asks[which])
                    reply = read_reply(connection)
                    seen.add("good", reply.status, unlike(reply, expected[which]), time.monotonic() - started)
                    if reply.status == 429:
                        until.wait(chosen.uniform(0.5, 1.5) * int(reply.headers["retry-after"]))
            except OSError as error:
                seen.add("failed", 0, f"{type(error).__name__}: {error}")

    words = ("--limits.queue", "64", "--limits.receive_seconds", "5")
    with serve_process(tmp_path / "log", *words) as server:
        host, port = server.url.removeprefix("http://").rsplit(":", 1)
        process = psutil.Process(server.process.pid)
        threads = [threading.Thread(target=client, args=(each, (host, int(port)))) for each in range(CLIENTS)]
        before = sum(process.cpu_times()[:2])
        for thread in threads:
            thread.start()
        used = []
        for _ in range(10):
            time.sleep(SECONDS / 10)
            used.append(process.memory_info().rss)
        until.set()
        for thread in threads:
            thread.join(180)
        spent = sum(process.cpu_times()[:2]) - before
        assert server.stop() == 0
    check(seen, used, spent / bare, bad)


def detector_seconds(grounder: Grounder, photos: list[bytes]) -> float:
    """Return the detector's processor time for a photo, in batches of eight."""
    pictures = [decode_image(io.BytesIO(photo), "a photo") for photo in photos]
    grounder.detector.detect(pictures[:8], ["image"] * 8)
    started = time.process_time()
    for start in range(0, len(pictures), 8):
        grounder.detector.detect(pictures[start : start + 8], ["image"] * len(pictures[start : start + 8]))
    return (time.process_time() - started) / len(pictures)


def check(seen: Seen, used: list[int], spent: float, bad: Collection[str]) -> None:
    """Check what the clients saw, and print it.

    Args:
        seen: what they saw.
        used: the server's memory over time, bytes.
        spent: the server's processor time, in the bare detector's for one photo.
        bad: the names of the bad requests.
    """
    good = seen.statuses["good 200"]
    print(dict(seen.statuses), f"a good answer takes {spent / max(good, 1):.2f} of the bare detector")
    print([round(each / 2**20) for each in used], "MiB")
    assert seen.wrong == []
    assert good > 10 and all(f"{name} " in " ".join(seen.statuses) for name in bad)
    assert not any(status.endswith(("500", "503", "504")) for status in seen.statuses)
    # A batch in work takes hundreds of MiB for a moment, so the highest of each half are compared.
    assert max(used[5:]) < max(used[:5]) * 1.1 + 50 * 2**20, "memory grew after the warm-up"


def unlike(reply: Reply, expected: list[dict[str, Any]]) -> str | None:
    """Return how a good request's reply differs from the serial answer; a full queue is no difference."""
    if reply.status == 429:
        return None
    if reply.status != 200:
        return f"good: {reply.status} {reply.body[:200]!r}"
    for found, serial in zip(reply.json()["groundings"], expected, strict=True):
        for name, value in found.items():
            wanted = json.loads(json.dumps(serial[name]))
            if value != wanted and not (isinstance(value, float) and abs(value - wanted) < 1e-3):
                return f"{name}: {value} instead of {wanted}"
    return None
