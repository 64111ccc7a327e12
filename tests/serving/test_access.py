"""Who may ask: keys, names of the server, and the addresses that need a decision."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.served import SMALL, HeldDetector, Served, exchange, served

from aligncat.errors import ConfigError
from aligncat.serving.access import Access
from aligncat.serving.app import AppSettings

KEY = "correct horse battery"


@pytest.fixture(scope="module")
def locked(tiny_detector: Path) -> Iterator[Served]:
    with served(
        {"free": HeldDetector(tiny_detector).grounder()}, AppSettings(SMALL, Access(KEY, any_host=True))
    ) as found:
        yield found


def get(server: Served, path: str, authorization: str | None = None) -> tuple[int, str | None]:
    given = "" if authorization is None else f"Authorization: {authorization}\r\n"
    reply = exchange(server.place, f"GET {path} HTTP/1.1\r\nHost: any.example\r\n{given}\r\n".encode())
    return reply.status, None if reply.status == 200 else reply.code


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (f"Bearer {KEY}", (200, None)),
        (f"bearer  {KEY}", (200, None)),
        (basic("anybody", KEY), (200, None)),
        (basic("", KEY), (200, None)),
        (None, (401, "no_key")),
        ("", (401, "wrong_key")),
        ("Bearer", (401, "wrong_key")),
        (f"Bearer {KEY[:-1]}", (401, "wrong_key")),
        (f"Bearer {KEY}x", (401, "wrong_key")),
        (f"Bearer {KEY.upper()}", (401, "wrong_key")),
        (KEY, (401, "wrong_key")),
        (basic(KEY, ""), (401, "wrong_key")),
        (f"Basic {KEY}", (401, "wrong_key")),
        ("Basic ====", (401, "wrong_key")),
        ("Bearer \xff\xfe", (401, "wrong_key")),
    ],
)
def test_the_key_opens_and_nothing_else(
    locked: Served, authorization: str | None, expected: tuple[int, str | None]
) -> None:
    assert get(locked, "/v1/grounders", authorization) == expected


@pytest.mark.parametrize(
    "path", ["/metrics", "/openapi.json", "/nothing", "/v1/ground", "/health/../metrics", "//health"]
)
def test_without_the_key_only_the_probes_answer(locked: Served, path: str) -> None:
    assert get(locked, path) == (401, "no_key")
    assert get(locked, "/health") == get(locked, "/ready") == (200, None)


def test_a_refusal_says_how_to_give_the_key(locked: Served) -> None:
    reply = exchange(locked.place, b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    assert reply.headers["www-authenticate"] == 'Basic realm="aligncat", charset="UTF-8"'
    assert "Authorization: Bearer KEY" in reply.json()["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:80", "127.8.8.8:80", "[::1]:9000"])
def test_a_server_without_a_key_is_asked_by_its_own_names(server: Served, host: str) -> None:
    assert exchange(server.place, f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1"])
def test_and_by_no_other(server: Served, host: str) -> None:
    reply = exchange(server.place, f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (reply.status, reply.code) == (403, "unknown_host")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_needs_no_decision(host: str) -> None:
    assert Access.of(host, None, no_auth=False) == Access(None, any_host=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_others_do(host: str) -> None:
    with pytest.raises(ConfigError, match="give them a key in ALIGNCAT_API_KEY"):
        Access.of(host, None, no_auth=False)
    assert Access.of(host, None, no_auth=True) == Access(None, any_host=True)
    assert Access.of(host, KEY, no_auth=False) == Access(KEY, any_host=True)


def test_decisions_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match="contradict"):
        Access.of("0.0.0.0", KEY, no_auth=True)
    with pytest.raises(ConfigError, match="fewer than 8"):
        Access.of("0.0.0.0", "short", no_auth=False)
