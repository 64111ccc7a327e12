"""The ML backend protocol, in the shapes of Label Studio's source, with a stand-in that serves the photos."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from helpers.brush_reader import read_brush
from helpers.served import SMALL, HeldDetector, Served, png, served

from aligncat.errors import ConfigError
from aligncat.grounder.grounder import Grounder
from aligncat.serving.app import AppSettings
from aligncat.serving.device_queue import DeviceQueue, Question
from aligncat.serving.label_studio.photos import LabelStudio
from aligncat.serving.refusals import busy

CONFIG = """<View><Text name="phrase" value="$phrase"/><Image name="image" value="$image"/>
<RectangleLabels name="box" toName="image"><Label value="object"/><Label value="cat"/></RectangleLabels>
<BrushLabels name="mask" toName="image"><Label value="object"/><Label value="cat"/></BrushLabels></View>"""
PHOTOS = {
    "/data/upload/1/a.png": png(),
    "/data/local-files/?d=photos/b%20c.png": png(30, 20, "blue"),
    "/data/upload/1/none.png": b"no photo",
    "/data/upload/1/large.png": bytes(300_000),
}
TOKEN, REFRESH, ACCESS = "legacy-token", "aa.bb.cc", "dd.ee.ff"


class Photos(BaseHTTPRequestHandler):
    """Serves photos to who has the token, redirects, and notes what it is asked."""

    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        given = self.headers.get("Authorization")
        self.asked.append((self.path, given))
        if self.path.endswith("slow.png"):
            time.sleep(3)
        if given not in (f"Token {TOKEN}", f"Bearer {ACCESS}"):
            self.answer(401, b"")
        elif "redirect" in self.path:
            self.answer(302, b"", Location=f"http://127.0.0.1:{self.server.server_port}/data/upload/1/a.png")  # type: ignore[attr-defined]
        else:
            content = PHOTOS.get(self.path)
            self.answer(404 if content is None else 200, content or b"")

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, sent.get("refresh")))
        right = (self.path, sent) == ("/api/token/refresh", {"refresh": REFRESH})
        self.answer(200 if right else 401, json.dumps({"access": ACCESS}).encode())

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def studio() -> Iterator[tuple[str, list[tuple[str, str | None]]]]:
    asked: list[tuple[str, str | None]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Photos,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def grounder(tiny_detector: Path) -> Grounder:
    return HeldDetector(tiny_detector).grounder()


@pytest.fixture
def backend(studio: tuple[str, list[Any]], grounder: Grounder) -> Iterator[Served]:
    with served({"free": grounder}, AppSettings(SMALL, label_studio=LabelStudio(studio[0], TOKEN))) as found:
        yield found


def predict_request(*tasks: dict[str, Any], config: str = CONFIG) -> dict[str, Any]:
    """Return what Label Studio sends for tasks."""
    return {
        "tasks": [
            {
                "id": number,
                "data": data,
                "meta": {},
                "is_labeled": False,
                "overlap": 1,
                "project": 4,
                "updated_by": None,
            }
            for number, data in enumerate(tasks)
        ],
        "model_version": "whatever it was",
        "project": "4.1795850000",
        "label_config": config,
        "params": {"login": None, "password": None, "context": None},
    }


def setup_request(config: str = CONFIG) -> dict[str, Any]:
    return {
        "project": "4.1795850000",
        "schema": config,
        "hostname": "http://evil.example",
        "access_token": "of somebody",
        "extra_params": None,
    }


def predict(backend: Served, *tasks: dict[str, Any]) -> list[Any]:
    """Return each task's prediction, or its error if it has none."""
    reply = httpx.post(f"{backend.url}/predict", json=predict_request(*tasks), timeout=60)
    assert reply.status_code == 200
    results, errors = reply.json()["results"], {each["task"]: each for each in reply.json()["errors"]}
    assert len(results) == len(tasks)
    assert [place for place, each in enumerate(results) if each == []] == list(errors)
    return [each[0] if each else {"error": errors[place]} for place, each in enumerate(results)]


def test_a_project_is_set_up(backend: Served) -> None:
    reply = httpx.post(f"{backend.url}/setup", json=setup_request())
    assert reply.status_code == 200 and reply.json()["model_version"].startswith("aligncat free ")
    assert httpx.get(f"{backend.url}/health").json()["status"] == "UP"


def test_tasks_get_rectangles_and_masks_with_scores(
    backend: Served, studio: tuple[str, list[Any]], grounder: Grounder
) -> None:
    url, asked = studio
    one = {"image": "/data/upload/1/a.png", "phrase": "left cat\nthe bus"}
    other = {"image": f"{url}/data/local-files/?d=photos/b%20c.png", "phrase": "dog"}
    first, second = predict(backend, one, other)
    expected = grounder.ground(png(), ["left cat", "the bus"])
    assert asked == [(path, f"Token {TOKEN}") for path, _ in asked] and len(asked) == 2
    boxes = [region for region in first["result"] if region["type"] == "rectanglelabels"]
    for region, found in zip(boxes, expected, strict=True):
        value = region["value"]
        x1, y1 = value["x"] * 0.48, value["y"] * 0.40
        corners = (x1, y1, x1 + value["width"] * 0.48, y1 + value["height"] * 0.40)
        assert corners == pytest.approx(found.box)
        assert (region["from_name"], region["to_name"], region["score"]) == ("box", "image", found.probability)
        assert (region["original_width"], region["original_height"]) == (48, 40)
    assert boxes[0]["value"]["rectanglelabels"] == ["cat" if expected[0].category == "cat" else "object"]
    masks = [region for region in first["result"] if region["type"] == "brushlabels"]
    for region, found in zip(masks, expected, strict=True):
        assert np.array_equal(read_brush(region["value"]["rle"], 40, 48) == 255, found.mask_array())
    assert first["score"] == min(found.probability for found in expected)
    assert second["result"][0]["original_width"] == 30 and "error" not in second
    assert first["model_version"].startswith("aligncat free ")


def test_more_tasks_than_a_batch_and_bad_ones_among_them(backend: Served) -> None:
    good = {"image": "/data/upload/1/a.png", "phrase": "dog"}
    tasks = [
        good,
        {"image": "/data/upload/1/none.png", "phrase": "dog"},
        {"image": "/data/upload/1/gone.png", "phrase": "dog"},
        {"image": "/data/upload/1/large.png", "phrase": "dog"},
        {"image": "/data/upload/1/slow.png", "phrase": "dog"},
        {"image": "/data/upload/1/redirect.png", "phrase": "dog"},
        {"image": "/data/" + "a" * 70_000, "phrase": "dog"},
        {"image": "/data/upload/1/a.png"},
        {"phrase": "dog"},
        {"image": "/data/upload/1/a.png", "phrase": "?!"},
        good,
    ]
    results = predict(backend, *tasks)
    assert [each.get("error", {}).get("code") for each in results] == [
        *(None, "photo_unreadable", "photo_unreachable", "photo_too_large", "photo_unreachable", "photo_unreachable"),
        "photo_unreachable",
        *("no_phrase", "no_photo", "no_words", None),
    ]
    assert results[0]["result"] == results[-1]["result"] != []


def test_tasks_for_which_there_is_no_room_say_so_each(backend: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    good = {"image": "/data/upload/1/a.png", "phrase": "dog"}
    put, calls = DeviceQueue.put, []

    def full_the_second_time(queue: DeviceQueue, questions: Sequence[Question]) -> None:
        calls.append(len(questions))
        if len(calls) == 2:
            raise busy("queue_full", "no room", 1.0)
        put(queue, questions)

    monkeypatch.setattr(DeviceQueue, "put", full_the_second_time)
    results = predict(backend, *[good] * 7)
    assert calls == [3, 3, 1]
    assert [each.get("error", {}).get("code") for each in results] == [*[None] * 3, *["queue_full"] * 3, None]
    assert 'aligncat_photos_total{grounder="free"} 4.0' in httpx.get(f"{backend.url}/metrics").text


@pytest.mark.parametrize("token", [b"no JSON", b"[]", b"{}", b'{"access": 3}'])
def test_a_token_that_is_changed_for_none_is_told(
    studio: tuple[str, list[Any]], grounder: Grounder, token: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Photos, "do_POST", lambda handler: handler.answer(200, token))
    with served({"free": grounder}, AppSettings(SMALL, label_studio=LabelStudio(studio[0], REFRESH))) as backend:
        [result] = predict(backend, {"image": "/data/upload/1/a.png", "phrase": "dog"})
    assert result["error"]["message"].startswith("Label Studio does not change the token")


@pytest.mark.parametrize(
    "address",
    [
        "http://evil.example/data/upload/1/a.png",
        "//evil.example/data/upload/1/a.png",
        "http://USER@PLACE/data/upload/1/a.png",
        "http://PLACE@evil.example/data/upload/1/a.png",
        "http://PLACE.evil.example/data/upload/1/a.png",
        "https://PLACE/data/upload/1/a.png",
        "http://127.0.0.1:1/data/upload/1/a.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "data/upload/1/a.png",
        "/api/users",
        "/data/../api/users",
        "/data/%2e%2e/api/users",
        "/data/upload/..%2f..%2f..%2fapi/users",
        "/data\\..\\api",
        "%2Fdata%2F@PLACE/data/upload/1/a.png",
        "%2Fdata%2Fupload%2F1%2Fa.png",
        "s3://bucket/a.png",
        "data:image/png;base64,AAAA",
        "http://PLACE:port/data/a.png",
        "http://[::1/data/a.png",
        "/data/upload/1/a.png\r\nX-Evil: 1",
    ],
)
def test_a_photo_elsewhere_is_never_asked_for(backend: Served, studio: tuple[str, list[Any]], address: str) -> None:
    url, asked = studio
    place = url.removeprefix("http://")
    [result] = predict(backend, {"image": address.replace("PLACE", place), "phrase": "dog"})
    assert result["error"]["code"] == "photo_elsewhere" and asked == []


def test_a_personal_token_is_changed_for_an_access_token_once(
    studio: tuple[str, list[Any]], grounder: Grounder
) -> None:
    url, asked = studio
    with served({"free": grounder}, AppSettings(SMALL, label_studio=LabelStudio(url, REFRESH))) as backend:
        for _ in range(2):
            [result] = predict(backend, {"image": "/data/upload/1/a.png", "phrase": "dog"})
            assert result["result"]
    photo = ("/data/upload/1/a.png", f"Bearer {ACCESS}")
    assert asked == [("/api/token/refresh", REFRESH), photo, photo]


def test_a_wrong_token_is_told(studio: tuple[str, list[Any]], grounder: Grounder) -> None:
    for token in ("wrong", "wrong.wrong.wrong"):
        with served({"free": grounder}, AppSettings(SMALL, label_studio=LabelStudio(studio[0], token))) as backend:
            [result] = predict(backend, {"image": "/data/upload/1/a.png", "phrase": "dog"})
        assert result["error"]["message"].endswith("(status 401); check --label_studio_token")


def test_a_wrong_project_is_told_at_once(backend: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aligncat")
    wrong = CONFIG.replace("<Text", "<Other")
    for path, body in (("setup", setup_request(wrong)), ("predict", predict_request({}, config=wrong))):
        reply = httpx.post(f"{backend.url}/{path}", json=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, "wrong_project")
        assert "0 <Text>" in reply.json()["error"]["message"]
        # Label Studio shows its users the status alone, and sends them to the log.
        until = time.monotonic() + 60
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.01)  # the line is written after the response
        logged = json.loads(caplog.records[-1].getMessage())
        assert logged["path"] == f"/{path}" and "it has 0 <Text>" in logged["problem"]
        caplog.clear()


def test_without_a_label_studio_the_set_up_says_what_to_do(server: Served) -> None:
    for path, body in (("setup", setup_request()), ("predict", predict_request({}))):
        reply = httpx.post(f"{server.url}/{path}", json=body)
        assert (reply.status_code, reply.json()["error"]["code"]) == (422, "no_label_studio")


def test_events_are_taken(backend: Served) -> None:
    event = {"action": "ANNOTATION_CREATED", "annotation": {"id": 1}, "project": {"id": 4}, "task": {"id": 2}}
    assert httpx.post(f"{backend.url}/webhook", json=event).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"tasks": 3}', b'{"tasks": [{"data": []}], "label_config": ""}', b"{"]
)
def test_what_no_label_studio_sends_is_refused(backend: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert httpx.post(f"{backend.url}/predict", content=body, headers=headers).status_code == 400
    assert httpx.post(f"{backend.url}/setup", content=body, headers=headers).status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080",
        "ftp://localhost",
        "http://",
        "http://me@localhost",
        "/data",
        "http://[::1",
        "http://localhost:abc",
        "http://localhost#x",
        "",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="give an address such as"):
        LabelStudio(url, "token")
