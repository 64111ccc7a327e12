"""Slow, broken and leaving clients, over real sockets; what is full; and a stop that answers what was taken."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from helpers.served import SMALL, HeldDetector, Reply, Served, exchange, png, post, read_reply, served

from aligncat.serving.app import AppSettings
from aligncat.serving.protocol import timed_protocol


def good(**more: Any) -> bytes:
    body = {"photo": base64.b64encode(png()).decode(), "phrases": ["red mug"], **more}
    return post("/v1/ground", json.dumps(body).encode())


def waits(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def waiting(server: Served) -> int:
    return len(server.service.queues["cpu"])


class Held:
    """Requests that the detector holds: the first is with the detector, the others wait for it."""

    def __init__(self, server: Served, held: HeldDetector, count: int) -> None:
        held.go.clear()
        held.begun.clear()
        self.connections = []
        for number in range(count):
            self.connections.append(socket.create_connection(server.place, 60))
            self.connections[-1].sendall(good())
            if number == 0:
                assert held.begun.wait(30)
        waits(lambda: waiting(server) == count - 1)


class TestSlowClients:
    def test_a_body_of_a_byte_now_and_then_is_cut_off(self, server: Served) -> None:
        with socket.create_connection(server.place, 60) as connection:
            reply = dribble(connection, good())
        assert (reply.status, reply.code, reply.headers["connection"]) == (408, "too_slow", "close")

    def test_so_is_a_head(self, server: Served) -> None:
        with socket.create_connection(server.place, 60) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\n")
            reply = read_reply(connection)
            assert (reply.status, reply.code) == (408, "too_slow")
            assert connection.recv(10) == b""

    def test_so_is_the_head_of_a_second_request(self, server: Served) -> None:
        with socket.create_connection(server.place, 60) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_reply(connection).status == 200
            connection.sendall(b"GET /hea")
            assert read_reply(connection).code == "too_slow"

    def test_so_is_who_sends_nothing(self, server: Served) -> None:
        with socket.create_connection(server.place, 60) as connection:
            assert read_reply(connection).code == "too_slow"

    def test_who_reads_nothing_is_cut_off(self, held: HeldDetector) -> None:
        with served({"free": held.grounder()}, AppSettings(SMALL)) as server:
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(server.place)
            request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
            connection.settimeout(0.2)
            with pytest.raises(ConnectionError):
                send_for_ever(connection, request)
            connection.close()
            assert exchange(server.place, good()).status == 200


class Unread:
    """A transport of whose bytes a client has left these, each time that one looks."""

    def __init__(self, *left: int) -> None:
        self.left = list(left)
        self.ended = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return self.left.pop(0)

    def abort(self) -> None:
        self.ended.set()


def test_who_goes_on_reading_is_not_cut_off_until_it_stops() -> None:
    async def reading() -> list[int]:
        transport = Unread(400_000, 300_000, 200_000, 190_000, 100_000)
        protocol: Any = object.__new__(timed_protocol(0.02))
        protocol.loop, protocol.transport = asyncio.get_running_loop(), transport
        protocol._watch_reading()
        await asyncio.wait_for(transport.ended.wait(), 30)
        return transport.left

    assert asyncio.run(reading()) == [100_000]


def send_for_ever(connection: socket.socket, request: bytes) -> None:
    """Send requests, of whose answers nobody reads any, for a minute or until the server closes the connection."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(TimeoutError):
            connection.sendall(request)


def dribble(connection: socket.socket, request: bytes) -> Reply:
    """Send a head at once and a body by single bytes, until the server answers."""
    connection.settimeout(0.2)
    head, _, body = request.partition(b"\r\n\r\n")
    connection.sendall(head + b"\r\n\r\n")
    for number in range(len(body)):
        connection.sendall(body[number : number + 1])
        try:
            connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            continue
        connection.settimeout(60)
        return read_reply(connection)
    raise AssertionError("all was sent")


class TestBrokenRequests:
    def test_a_body_that_is_cut_off_is_told(self, server: Served) -> None:
        with socket.create_connection(server.place, 60) as connection:
            connection.sendall(good()[:-100])
            connection.shutdown(socket.SHUT_WR)
            assert (reply := read_reply(connection)).status == 400 and reply.code == "cut_off"

    def test_a_declared_size_is_refused_before_anything_arrives(self, server: Served) -> None:
        head = post("/v1/ground", b"", **{"Content-Length": str(10**12)})
        reply = exchange(server.place, head)
        assert (reply.status, reply.code) == (413, "request_too_large")

    def test_an_undeclared_size_is_refused_on_the_way(self, server: Served) -> None:
        head = post("/v1/ground", b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        chunk = b"%x\r\n%s\r\n" % (100_000, b" " * 100_000)
        reply = exchange(server.place, head + chunk * 6)
        assert (reply.status, reply.code) == (413, "request_too_large")

    @pytest.mark.parametrize(
        "head",
        [
            b"POST /v1/ground HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            b"POST /v1/ground HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
            b"POST /v1/ground HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"POST /v1/ground HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 400_000 + b"\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET /he\x00alth HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
    )
    def test_a_request_that_is_no_http_is_refused(self, server: Served, head: bytes) -> None:
        with socket.create_connection(server.place, 60) as connection:
            connection.sendall(head)
            assert connection.recv(65536).startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))

    def test_another_name_of_the_server_is_refused(self, server: Served) -> None:
        reply = exchange(server.place, good().replace(b"Host: localhost", b"Host: evil.example:8000"))
        assert (reply.status, reply.code) == (403, "unknown_host")


class TestFull:
    def test_more_than_the_queue_holds_is_refused_with_a_time(self, server: Served, held: HeldDetector) -> None:
        requests = Held(server, held, 5)
        reply = exchange(server.place, good())
        assert (reply.status, reply.code) == (429, "queue_full") and int(reply.headers["retry-after"]) >= 1
        batch = {"requests": [{"photo": base64.b64encode(png()).decode(), "phrases": ["x"]}] * 3}
        assert exchange(server.place, post("/v1/ground/batch", json.dumps(batch).encode())).code == "queue_full"
        held.go.set()
        assert [read_reply(each).status for each in requests.connections] == [200] * 5
        assert exchange(server.place, good()).status == 200

    def test_memory_is_bounded(self, server: Served, held: HeldDetector) -> None:
        held.go.clear()
        big = good(phrases=["red mug"]).replace(b'"phrases"', b" " * 300_000 + b'"phrases"')
        body = big.partition(b"\r\n\r\n")[2]
        request = post("/v1/ground", body)
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(exchange, server.place, request)]
            assert held.begun.wait(30)  # so that the others are not of its batch
            asked += [pool.submit(exchange, server.place, request) for _ in range(2)]
            waits(lambda: waiting(server) == 2)
            reply = exchange(server.place, request)
            assert (reply.status, reply.code) == (429, "memory_full") and "retry-after" in reply.headers
            held.go.set()
            assert [each.result().status for each in asked] == [200] * 3
        waits(lambda: "aligncat_held_bytes 0.0" in httpx.get(f"{server.url}/metrics").text)

    def test_an_answer_that_comes_too_late_is_refused(self, server: Served, held: HeldDetector) -> None:
        held.go.clear()
        with ThreadPoolExecutor(2) as pool:
            asked = pool.submit(exchange, server.place, good())
            assert held.begun.wait(30)
            reply = exchange(server.place, good(timeout=0.3))
            assert (reply.status, reply.code) == (408, "deadline")
            held.go.set()
            assert asked.result().status == 200
        assert exchange(server.place, good()).status == 200
        assert held.batches == [1, 1], "the late one was asked all the same"


def test_a_client_that_leaves_takes_its_question_back(
    server: Served, held: HeldDetector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    requests = Held(server, held, 3)
    requests.connections[1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    requests.connections[1].close()
    waits(lambda: 'status="499"} 1.0' in httpx.get(f"{server.url}/metrics").text)
    held.go.set()
    assert [read_reply(requests.connections[number]).status for number in (0, 2)] == [200, 200]
    assert held.batches == [1, 1]
    assert {each.name for each in caplog.records if each.levelno > logging.INFO} == set(), "nothing but its line"


def test_a_stop_answers_what_was_taken(held: HeldDetector) -> None:
    with ThreadPoolExecutor(1) as pool:
        with served({"free": held.grounder()}, AppSettings(SMALL)) as server:
            requests = Held(server, held, 4)
            idle = socket.create_connection(server.place, 60)
            idle.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_reply(idle).status == 200
            threading.Timer(1.0, held.go.set).start()
            replies = pool.submit(lambda: [read_reply(each).status for each in requests.connections])
        assert replies.result(30) == [200] * 4
    with idle:
        assert idle.recv(1) == b""  # closed without a status
    with pytest.raises(ConnectionError):
        socket.create_connection(server.place, 5)
