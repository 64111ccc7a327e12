"""Logs and metrics: what happened, and no phrase and no photo."""

from __future__ import annotations

import base64
import json
import logging
import time
from typing import Any

import httpx
import pytest
from helpers.served import BROKEN, SMALL, HeldDetector, Served, exchange, png, post, served

from aligncat.serving.app import AppSettings

SECRET = "the tattooed arm of Ms Example"


def ask(server: Served, photo: bytes, **more: Any) -> httpx.Response:
    body = {"photo": base64.b64encode(photo).decode(), "phrases": [SECRET, "dog"], **more}
    return httpx.post(f"{server.url}/v1/ground", json=body, timeout=60)


def lines(caplog: pytest.LogCaptureFixture, count: int) -> list[dict[str, Any]]:
    """Return the log lines, of which the last is written after its response."""
    until = time.monotonic() + 30
    while len(caplog.records) < count:
        assert time.monotonic() < until
    return [json.loads(each.getMessage()) for each in caplog.records if each.name.startswith("aligncat.serving")]


def test_a_request_is_one_line_without_phrases(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aligncat")
    good = ask(server, png())
    assert ask(server, b"no photo").status_code == 422
    assert ask(server, png(), grounder=SECRET).status_code == 404
    assert ask(server, png(), phrases=["?" * 5]).status_code == 422
    assert ask(server, png(*BROKEN)).status_code == 500
    httpx.get(f"{server.url}/{SECRET}")
    exchange(server.place, post(f"/v1/ground?q={SECRET.replace(' ', '+')}", b"", "text/plain"))
    found = lines(caplog, 7)
    assert [(each["path"], each["status"], each.get("error")) for each in found] == [
        ("/v1/ground", 200, None),
        ("/v1/ground", 422, "photo_unreadable"),
        ("/v1/ground", 404, "unknown_grounder"),
        ("/v1/ground", 422, "no_words"),
        ("/v1/ground", 500, "RuntimeError"),
        ("other", 404, "not_found"),
        ("/v1/ground", 415, "unknown_type"),
    ]
    first = found[0]
    assert (first["method"], first["photos"], first["phrases"]) == ("POST", 1, 2)
    assert first["request"] == good.headers["x-request-id"] and first["seconds"] > 0 and first["bytes"] > 100
    assert found[4]["at"][-1].partition(":")[0].endswith("served.py"), "the line of the failure"
    assert "Example" not in caplog.text and "secret phrase" not in caplog.text


def test_phrases_are_logged_where_that_is_asked(held: HeldDetector, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aligncat")
    with served({"free": held.grounder()}, AppSettings(SMALL, log_phrases=True)) as server:
        ask(server, png())
    assert lines(caplog, 1)[0]["phrases"] == [[SECRET, "dog"]]


def test_the_metrics_count_requests_photos_and_batches(server: Served) -> None:
    ask(server, png())
    ask(server, b"no photo")
    for number in range(20):
        httpx.request(f"X{number}", f"{server.url}/{number}")
    text = httpx.get(f"{server.url}/metrics").text
    assert 'aligncat_requests_total{path="/v1/ground",status="200"} 1.0' in text
    assert 'aligncat_requests_total{path="/v1/ground",status="422"} 1.0' in text
    assert 'aligncat_requests_total{path="other",status="404"} 20.0' in text
    assert 'aligncat_photos_total{grounder="free"} 1.0' in text
    assert "aligncat_batch_photos_count 1.0" in text and 'aligncat_waiting_photos{device="cpu"} 0.0' in text
    assert "process_resident_memory_bytes" in text and "Example" not in text
