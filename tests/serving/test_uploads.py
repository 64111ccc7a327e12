"""Bad requests get one clear answer each, which is their own, and odd good ones are answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.served import SMALL, HeldDetector, Served, exchange, served
from helpers.uploads import Upload, listed, uploads

from aligncat.serving.app import AppSettings

UPLOADS = uploads()


@pytest.fixture(scope="module")
def site(tiny_detector: Path) -> Iterator[Served]:
    with served({"free": HeldDetector(tiny_detector).grounder()}, AppSettings(SMALL)) as found:
        yield found


def test_there_are_many_uploads() -> None:
    names = {upload.name.removesuffix(", in JSON").removesuffix(", in a form") for upload in UPLOADS}
    assert len(names) >= 60 and len({each.name for each in UPLOADS}) == len(UPLOADS)


@pytest.mark.parametrize("upload", UPLOADS, ids=lambda upload: upload.name)
def test_an_upload_gets_its_answer(site: Served, upload: Upload) -> None:
    reply = exchange(site.place, upload.request)
    found = reply.json()
    assert (reply.status, reply.headers["content-type"]) == (upload.status, "application/json"), found
    if upload.status == 200:
        assert (found["width"], found["height"]) == upload.code
    else:
        assert reply.code == upload.code
        assert len(found["error"]["message"]) < 300 and "passwd" not in found["error"]["message"]


def test_the_page_on_security_lists_every_upload() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    assert listed() in page, f"docs/security.md should have:\n{listed()}"
