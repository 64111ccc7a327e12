"""Measure what `aligncat serve` adds to its detector, with the shipped grounder and drawings of MojiRef.

    python benchmarks/serving.py [--seconds 20] [--rounds 5] [--clients 32]

The server and the clients have a process each; the clients' time does not count. In each round, one after another:

- the detector alone, in its own batches, over photos that are decoded;
- the server under clients that each send a photo with two phrases, wait for the answer, and send the next;
- the same, with one request in five bad: half a photo, no photo, another type, a size beyond the limit, a client that
  leaves;
- `Grounder.ground_many`, called by as many clients in this process, which each wait for their answer;
- single requests, each beside one call of `Grounder.ground` with the same photo.

Processor time is that of the processes. The times of answers are wall time, so nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import io
import os
import queue
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from measuring import Figure, add_out, alternated, seconds, write

if TYPE_CHECKING:
    from aligncat.grounder.grounder import Grounder

PHRASES = ("red dog", "the cup on the left")
PHOTOS = 16
BAD = 0.2  # of the requests
WAIT = 300  # seconds
_BOUNDARY = "aligncat-benchmark"
_FORM = f"multipart/form-data; boundary={_BOUNDARY}"


@dataclass
class Seen:
    """What clients saw: the seconds of each good answer, and the numbers of bad requests and of full queues."""

    seconds: list[float] = field(default_factory=list)
    bad: int = 0
    full: int = 0

    @property
    def p95(self) -> float:
        return quantiles(self.seconds, n=20)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=32, help="more than 64 find the queue full at times")
    add_out(parser)
    options = parser.parse_args()

    from aligncat.grounder.folder import SHIPPED
    from aligncat.grounder.grounder import Grounder

    grounder = Grounder.from_pretrained(SHIPPED)
    photos = make_photos()
    spans: dict[str, list[float]] = {name: [] for name in ("detector", "good", "mixed")}
    late: dict[str, list[float]] = {name: [] for name in ("server", "ground_many")}
    alone: dict[str, list[float]] = {"request": [], "ground": []}
    counts = []
    with server() as (process, place), ProcessPoolExecutor(1, get_context("spawn")) as clients:
        for number in range(-1, options.rounds):  # the first is not counted
            length = options.seconds if number >= 0 else 2.0
            detector = detector_seconds(grounder, photos, length / 2)
            found = {}
            for name, bad in (("good", 0.0), ("mixed", BAD)):
                before = cpu_seconds(process.pid)
                found[name] = clients.submit(ask, place, photos, options.clients, length, bad, number).result()
                if number >= 0:
                    spans[name].append((cpu_seconds(process.pid) - before) / len(found[name].seconds))
            bare = ask_grounder(grounder, photos, options.clients, length)
            single = alternated(
                {"request": lambda: request(place, photos[0]), "ground": lambda: grounder.ground(photos[0], PHRASES)},
                20 if number >= 0 else 2,
                clock=time.perf_counter,
            )
            if number >= 0:
                spans["detector"].append(detector)
                late["server"].append(found["good"].p95)
                late["ground_many"].append(bare.p95)
                for name, times in single.items():
                    alone[name] += times
                counts.append(
                    {
                        name: {"good": len(each.seconds), "bad": each.bad, "full": each.full}
                        for name, each in found.items()
                    }
                )
    detector_is = "the detector alone, in batches"
    unit = f"times {detector_is}"
    figures = [
        Figure.time("the detector alone, processor time per photo", spans["detector"], "ms"),
        Figure.ratio("processor time per good answer", spans["good"], spans["detector"], unit, bar=1.15),
        Figure.ratio("the same, with one request in five bad", spans["mixed"], spans["detector"], unit, bar=1.15),
        Figure.time(
            "one request, over Grounder.ground",
            [first - second for first, second in zip(alone["request"], alone["ground"], strict=True)],
            "ms",
            bar=15.0,
        ),
        Figure.ratio(
            f"the time within which 95% of answers come, {options.clients} clients",
            late["server"],
            late["ground_many"],
            "times ground_many's",
            bar=1.5,
        ),
    ]
    write(
        figures,
        options,
        clock="processor time, and wall time for single requests and for 95%",
        details={"counts": counts},
    )


def make_photos() -> list[bytes]:
    """Return the files of some drawings of MojiRef."""
    from aligncat.mojiref.build import make_mojiref
    from aligncat.mojiref.recipe import MojiRefConfig

    with tempfile.TemporaryDirectory() as folder:
        make_mojiref(out=Path(folder) / "data", recipe=MojiRefConfig(train=0, val=PHOTOS, test=0, seed=0))
        return [path.read_bytes() for path in sorted(Path(folder).rglob("*.jpg"))]


def detector_seconds(grounder: Grounder, photos: Sequence[bytes], least: float) -> float:
    """Return the detector's processor time for a photo, from at least so many seconds of it."""
    from aligncat.files.images import decode_image

    detector = grounder.detector
    pictures = [decode_image(io.BytesIO(photo), "a photo") for photo in photos]
    size, spent, count = detector.batch_size, 0.0, 0
    while spent < least:
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            spent += seconds(lambda part=part: detector.detect(part, ["image"] * len(part)))  # type: ignore[misc]
            count += len(part)
    return spent / count


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[bytes], tuple[str, int]]]:
    """Run the server until the end of the block; its address is a host and a port."""
    command = [sys.executable, "-m", "aligncat", "serve", "--port", "0"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stderr=log)
        try:
            until = time.monotonic() + WAIT
            while not (found := re.search(rb"http://([\d.]+):(\d+) answers", os.pread(log.fileno(), 10_000, 0))):
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"the server does not start: {os.pread(log.fileno(), 10_000, 0).decode()}")
                time.sleep(0.1)
            yield process, (found[1].decode(), int(found[2]))
        finally:
            process.terminate()
            process.wait(WAIT)


def cpu_seconds(number: int) -> float:
    """Return the processor time of a process so far."""
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def body(photo: bytes) -> bytes:
    """Return the form of a photo and the phrases."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="'
    parts = [f'{head}photo"; filename="p.jpg"\r\n\r\n'.encode() + photo]
    parts += [f'{head}phrases"\r\n\r\n{phrase}'.encode() for phrase in PHRASES]
    return b"\r\n".join([*parts, f"--{_BOUNDARY}--\r\n".encode()])


def request(place: tuple[str, int], photo: bytes) -> None:
    """Send one request over a new connection."""
    connection = HTTPConnection(*place, timeout=WAIT)
    connection.request("POST", "/v1/ground", body(photo), {"Content-Type": _FORM})
    response = connection.getresponse()
    if response.status != 200:
        raise SystemExit(f"status {response.status}: {response.read()[:200]!r}")
    response.read()
    connection.close()


def ask(place: tuple[str, int], photos: Sequence[bytes], clients: int, length: float, bad: float, seed: int) -> Seen:
    """Return what clients of the server saw in so many seconds, in which they sent a share of bad requests."""
    bodies = [body(photo) for photo in photos]
    wrong = bad_requests(place, photos[0])

    def client(number: int, seen: Seen, until: float) -> None:
        chosen = random.Random(f"{seed} {number}")
        connection = HTTPConnection(*place, timeout=WAIT)
        while time.monotonic() < until:
            if chosen.random() < bad:
                chosen.choice(wrong)()
                seen.bad += 1
                continue
            begun = time.monotonic()
            connection.request("POST", "/v1/ground", chosen.choice(bodies), {"Content-Type": _FORM})
            response = connection.getresponse()
            content = response.read()
            if response.status == 429:
                seen.full += 1
                time.sleep(chosen.uniform(0.5, 1.5) * int(response.headers["Retry-After"]))
                continue
            if response.status != 200:
                raise RuntimeError(f"status {response.status}: {content[:200]!r}")
            seen.seconds.append(time.monotonic() - begun)
        connection.close()

    return together(client, clients, length)


def bad_requests(place: tuple[str, int], photo: bytes) -> list[Callable[[], None]]:
    """Return functions that send bad requests and check the status of the refusal."""

    def refused(status: int, content: bytes, kind: str = _FORM) -> Callable[[], None]:
        def send() -> None:
            connection = HTTPConnection(*place, timeout=WAIT)
            connection.request("POST", "/v1/ground", content, {"Content-Type": kind})
            if (found := connection.getresponse().status) != status:
                raise RuntimeError(f"status {found} instead of {status}")
            connection.close()

        return send

    def huge() -> None:
        connection = HTTPConnection(*place, timeout=WAIT)
        connection.request("POST", "/v1/ground", headers={"Content-Type": _FORM, "Content-Length": str(10**10)})
        if (found := connection.getresponse().status) != 413:
            raise RuntimeError(f"status {found} instead of 413")
        connection.close()

    def leave() -> None:
        content = body(photo)
        with socket.create_connection(place, WAIT) as connection:
            head = f"POST /v1/ground HTTP/1.1\r\nHost: localhost\r\nContent-Type: {_FORM}\r\n"
            connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    broken, none = body(photo[: len(photo) // 2]), body(b"no photo at all")
    return [refused(422, broken), refused(422, none), refused(415, photo, "image/jpeg"), huge, leave]


def ask_grounder(grounder: Grounder, photos: Sequence[bytes], clients: int, length: float) -> Seen:
    """Return what clients of `ground_many` in this process saw, each of which waits for its answer."""
    asked: queue.SimpleQueue[tuple[bytes, threading.Event] | None] = queue.SimpleQueue()
    waiting: queue.SimpleQueue[threading.Event] = queue.SimpleQueue()

    def pairs() -> Iterator[tuple[bytes, Sequence[str]]]:
        while (each := asked.get()) is not None:
            waiting.put(each[1])
            yield each[0], PHRASES

    def client(number: int, seen: Seen, until: float) -> None:
        chosen = random.Random(number)
        while time.monotonic() < until:
            begun, done = time.monotonic(), threading.Event()
            asked.put((chosen.choice(photos), done))
            done.wait()
            seen.seconds.append(time.monotonic() - begun)

    def answer() -> None:
        for _ in grounder.ground_many(pairs()):
            waiting.get().set()

    answering = threading.Thread(target=answer)
    answering.start()

    def fill() -> None:
        """Make the last batches full, so that no client waits for one."""
        for _ in range(64):
            asked.put((photos[0], threading.Event()))

    threading.Timer(length, fill).start()
    seen = together(client, clients, length)
    asked.put(None)
    answering.join()
    return seen


def together(client: Callable[[int, Seen, float], None], clients: int, length: float) -> Seen:
    """Run clients at once, and return what all of them saw."""
    seen = [Seen() for _ in range(clients)]
    until = time.monotonic() + length
    threads = [threading.Thread(target=client, args=(number, each, until)) for number, each in enumerate(seen)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Seen(
        [one for each in seen for one in each.seconds], sum(each.bad for each in seen), sum(each.full for each in seen)
    )


if __name__ == "__main__":
    main()
