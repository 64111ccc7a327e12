"""What the page's routes take and give, and what of Gradio can be asked for."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import zipfile
from pathlib import Path

import httpx
import pytest
from helpers.served import SMALL, HeldDetector, Served, served
from PIL import Image

from aligncat.grounder.grounder import Grounder
from aligncat.serving.access import Access
from aligncat.serving.app import AppSettings
from aligncat.serving.page.examples import examples

KEY = "correct horse battery"


def png(width: int = 48, height: int = 40) -> bytes:
    Image.new("RGB", (width, height), "red").save(file := io.BytesIO(), "PNG")
    return file.getvalue()


def noise() -> bytes:
    Image.effect_noise((96, 80), 50).convert("RGB").save(file := io.BytesIO(), "JPEG")
    return file.getvalue()


def ask(server: Served, path: str = "answer", photo: bytes | None = None, **fields: object) -> httpx.Response:
    data = {"phrases": ["red dog"], **fields}
    url = f"{server.url}/page/{path}"
    return httpx.post(url, params={"name": "x.png"}, files={"photo": photo or png()}, data=data, timeout=60)


def choose(server: Served, photo: bytes, kind: str = "application/octet-stream") -> httpx.Response:
    return httpx.post(f"{server.url}/page/photo", content=photo, headers={"Content-Type": kind}, timeout=60)


@pytest.mark.parametrize(
    ("photo", "fields", "said"),
    [
        (b"no photo", {}, "The photo cannot be read (not a known image format, or corrupt;"),
        (png(2000, 2000), {}, "The photo is too large (2000 by 2000 pixels); the limit is 1 megapixels;"),
        (bytes(300_001), {}, "The photo has 300,001 bytes; the limit is 300,000."),
        (None, {"phrases": ["a", "b", "c", "d", "e", "f"]}, "6 phrases; the limit is 5 for one photo."),
        (None, {"phrases": ["dog " * 30]}, "A phrase has 120 characters; the limit is 80."),
        (None, {"phrases": ["?!"]}, "The expression '?!' has no words"),
        (None, {"phrases": [""]}, "Phrases: there is none, or one is empty"),
        (None, {"grounder": "<b>nobody</b>"}, "There is no grounder '<b>nobody</b>'"),
        (
            None,
            {"file": "/etc/passwd"},
            "'file' is no field of the form, or comes twice; the fields are photo, phrases, grounder",
        ),
        (None, {"phrase": "dog"}, "'phrase' is no field of the form, or comes twice; did you mean phrases?"),
    ],
)
def test_a_refusal_is_shown(page_server: Served, photo: bytes | None, fields: dict[str, object], said: str) -> None:
    reply = ask(page_server, photo=photo, **fields)
    assert reply.text.startswith(said) and reply.text.endswith((".", "?"))
    assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/plain")
    assert reply.headers["x-refusal"]  # by which the page tells it from an answer


@pytest.mark.parametrize(
    ("photo", "said"),
    [
        (b"some notes", "The photo cannot be read (not a known image format, or corrupt;"),
        (b"", "The photo cannot be read (the file is empty); replace or remove it."),
        (png(2000, 2000), "The photo is too large (2000 by 2000 pixels)"),
        (bytes(300_001), "The photo has 300,001 bytes; the limit is 300,000."),
        (noise()[:-400], "The photo cannot be read (image file is truncated"),
    ],
)
def test_what_is_no_photo_is_told_when_it_is_chosen(page_server: Served, photo: bytes, said: str) -> None:
    reply = choose(page_server, photo)
    assert reply.text.startswith(said) and reply.text.count("photo") == 1 and reply.text.count("(") <= 1
    assert reply.status_code == 200 and reply.headers["x-refusal"]


def test_a_chosen_photo_is_shown_as_the_server_reads_it(page_server: Served) -> None:
    Image.new("RGB", (30, 20), "red").save(file := io.BytesIO(), "TIFF")  # which no browser shows
    reply = choose(page_server, file.getvalue())
    assert "x-refusal" not in reply.headers
    with Image.open(io.BytesIO(base64.b64decode(reply.text.removeprefix("data:image/jpeg;base64,")))) as shown:
        assert shown.size == (30, 20)
    assert choose(page_server, png(), "text/plain").headers["x-refusal"] == "unknown_type"  # forms of other sites


@pytest.mark.parametrize("path", ["answer", "json", "coco", "label-studio"])
def test_a_request_that_is_too_large_or_no_form_is_refused(page_server: Served, path: str) -> None:
    url = f"{page_server.url}/page/{path}"
    assert ask(page_server, path, bytes(900_000)).json()["error"]["code"] == "request_too_large"
    reply = httpx.post(url, json={"photo": "http://127.0.0.1/photo.png"})
    told = reply.text if path == "answer" else reply.json()["error"]["message"]
    assert "multipart/form-data" in told


def test_the_settings_of_other_routes_change_nothing(page_server: Served) -> None:
    reply = ask(page_server, top="3", timeout="0.1", candidates="false")
    assert reply.text == ask(page_server).text
    assert "x-refusal" not in reply.headers


def test_the_least_probabilities_leave_phrases_out(page_server: Served) -> None:
    assert "Left out: nothing matches: match " in ask(page_server, min_match="1.0").text
    for path in ("json", "coco", "label-studio"):
        assert ask(page_server, path, min_match="1.0").status_code == 200
    assert ask(page_server, "json", min_match="1.0").json() == []
    assert ask(page_server, "coco", min_match="1.0").json()["annotations"] == []


@pytest.mark.parametrize("setting", ["several", "min_match"])
def test_a_setting_that_a_grounder_lacks_is_refused(page_server: Served, setting: str) -> None:
    reply = ask(page_server, grounder="free", **{setting: "1"})
    assert reply.headers["x-refusal"] == "impossible_settings"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("../../etc/passwd", "passwd.mine.json"),
        ("C:\\photos\\a b.jpg", "a%20b.mine.json"),
        ("..", "photo.mine.json"),
        ("", "photo.mine.json"),
        ("a\r\nSet-Cookie: b=1.png", "aSet-Cookie%3A%20b%3D1.mine.json"),
        ("猫.png", "%E7%8C%AB.mine.json"),
    ],
)
def test_a_name_of_a_photo_names_the_file_and_nothing_else(page_server: Served, name: str, file: str) -> None:
    url = f"{page_server.url}/page/json"
    reply = httpx.post(url, params={"name": name}, files={"photo": png()}, data={"phrases": "red dog"}, timeout=60)
    assert reply.headers["content-disposition"] == f"attachment; filename*=UTF-8''{file}"
    assert "set-cookie" not in reply.headers


def test_downloads_say_which_grounder_answered(page_server: Served) -> None:
    assert ask(page_server, "coco", grounder="free").json()["info"]["grounder"] == "free"
    with zipfile.ZipFile(io.BytesIO(ask(page_server, "label-studio").content)) as archive:
        [task] = json.loads(archive.read("tasks.json"))
    assert task["predictions"][0]["model_version"] == "mine"


def test_downloads_are_the_same_each_time(page_server: Served) -> None:
    for path in ("json", "coco", "label-studio"):
        assert ask(page_server, path).content == ask(page_server, path).content


def test_what_is_answered_waits_in_the_queue_of_the_server(held: HeldDetector) -> None:
    """The page's photos count as those of all others."""
    with served({"free": held.grounder()}, AppSettings(SMALL, page=True)) as server:
        before = server.service.answered
        assert "<h3>free</h3>" in ask(server).text
        assert held.batches == [1] and server.service.answered == before + 1
        [line] = [
            each
            for each in httpx.get(f"{server.url}/metrics").text.splitlines()
            if each.startswith("aligncat_requests_total") and "/page/answer" in each
        ]
        assert line.endswith(" 1.0")
        server.service.close()
        assert "The server is stopping" in ask(server).text


@pytest.mark.parametrize(
    "path",
    [
        "config",
        "info",
        "login",
        "manifest.json",
        "monitoring",
        "openapi.json",
        "gradio_api/info",
        "gradio_api/upload",
        "gradio_api/run/predict",
        "gradio_api/queue/join",
        "gradio_api/queue/data",
        "gradio_api/heartbeat/x",
        "gradio_api/startup-events",
        "gradio_api/file=/etc/passwd",
        "gradio_api/proxy=http://127.0.0.1/",
        "gradio_api/vibe-code/",
        "gradio_api/runs",
        "svelte/x.js",
        "assets/../config",
        "assets/%2e%2e/config",
        "static/..%2f..%2f..%2froutes.py",
        "examples/4.png",
        "examples/x.png",
        "examples/-1.png",
    ],
)
def test_nothing_else_of_gradio_can_be_asked_for(page_server: Served, path: str) -> None:
    for method in ("GET", "POST"):
        reply = httpx.request(method, f"{page_server.url}/page/{path}")
        assert reply.status_code in (403, 404, 405, 422), (method, path, reply.text)
    assert httpx.post(f"{page_server.url}/page/").json()["error"]["code"] == "method_not_allowed"


def test_no_other_page_may_read_it_or_show_it(page_server: Served) -> None:
    for path in ("", "theme.css", "page.js"):
        reply = httpx.get(f"{page_server.url}/page/{path}", headers={"Origin": "http://evil.example"})
        assert reply.status_code == 200
        assert not [each for each in reply.headers if each.startswith("access-control")]
    policy = httpx.get(f"{page_server.url}/page/").headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert not re.search(r"https?:|\*", policy)


def test_the_page_loads_nothing_of_others(page_server: Served) -> None:
    text = httpx.get(f"{page_server.url}/page/").text
    assert "<title>aligncat</title>" in text
    assert "manifest" not in text
    loaded = re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=[\"']([^\"']+)", text)
    assert loaded and not [each for each in loaded if each.startswith(("http", "//"))]
    assert '"analytics_enabled":false' in text
    theme = httpx.get(f"{page_server.url}/page/theme.css").text
    assert "@import" not in theme and not re.search(r"https?://(?!www\.w3\.org/)", theme)  # but names of namespaces


@pytest.mark.parametrize("path", ["/page", "/"])
def test_the_page_is_found_without_its_name(page_server: Served, path: str) -> None:
    reply = httpx.get(f"{page_server.url}{path}")
    assert reply.status_code == 307 and reply.headers["location"] == "page/"


def test_examples_are_drawn_alike_each_time_and_fit_their_phrases(page_server: Served) -> None:
    drawn = examples()
    assert drawn == examples()
    assert all(1 <= len(each.phrases) <= 3 for each in drawn)
    for number, each in enumerate(drawn):
        assert httpx.get(f"{page_server.url}/page/examples/{number}.png").content == each.png


def test_the_key_opens_the_page(tiny_detector: Path) -> None:
    free = Grounder.from_pretrained("training-free", detector=tiny_detector)
    with served({"free": free}, AppSettings(SMALL, Access(KEY, any_host=True), page=True)) as server:
        for path in ("", "page.js", "theme.css", "examples/0.png"):
            url = f"{server.url}/page/{path}"
            refused = httpx.get(url)
            assert refused.status_code == 401 and "Basic" in refused.headers["www-authenticate"]
            assert httpx.get(url, auth=("anybody", KEY)).status_code == 200
            assert httpx.get(url, auth=("anybody", "wrong")).status_code == 401
        assert ask(server).status_code == 401


def test_without_a_key_the_page_is_asked_by_its_own_names(page_server: Served) -> None:
    assert httpx.get(f"{page_server.url}/page/", headers={"Host": "evil.example"}).status_code == 403


def test_no_photo_is_written_to_a_disk(page_server: Served) -> None:
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    before = sorted(folder.rglob("*"))
    ask(page_server)
    ask(page_server, "label-studio")
    assert sorted(folder.rglob("*")) == before
    assert not [each for each in before if each.is_file()]


def test_the_shown_photo_is_small_and_upright(page_server: Served) -> None:
    image = Image.new("RGB", (900, 300), "red")
    exif = image.getexif()
    exif[274] = 6  # turned by a quarter
    image.save(file := io.BytesIO(), "JPEG", exif=exif)
    found = re.search(r"data:image/jpeg;base64,([^\"]+)", ask(page_server, photo=file.getvalue()).text)
    assert found is not None
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as shown:
        assert shown.size == (300, 900)
