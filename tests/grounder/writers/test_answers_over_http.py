"""Answers on photos of a web server: a run goes on, and a finished one is known, whatever it tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.light_detector import LightDetector
from helpers.light_grounder import LightGrounder
from helpers.photo_server import PhotoServer, served
from helpers.worker_runs import write_photos

from aligncat.errors import AligncatError, DataError
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers import part
from aligncat.grounder.writers.formats import find_format
from aligncat.grounder.writers.output import Output, Written
from aligncat.grounder.writers.write import write_answers
from aligncat.locations import RemotePath

pytest.importorskip("aiohttp")  # with which fsspec speaks HTTP
SECOND, LAST = "/photos/01.png", "/photos/05.png"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "PART", 4)


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    photos = write_photos(tmp_path_factory.mktemp("photos"))
    return [Path(str(photo.path)).read_bytes() for photo in photos[:6]]


@pytest.fixture
def server(contents: list[bytes]) -> Iterator[PhotoServer]:
    with served(contents) as server:
        yield server


def run(server: PhotoServer, out: Path, *, skip_bad_images: bool = False) -> Written:
    names = [path.rpartition("/")[2] for path in server.files]
    requests = [Request(name, RemotePath(f"{server.url}/{name}"), ("upper half",)) for name in names]
    output = Output(out, find_format(None, out))
    grounder = LightGrounder(LightDetector())
    return write_answers(grounder, requests, output, answering=Answering(), skip_bad_images=skip_bad_images)


def interrupt(server: PhotoServer, out: Path, *, skip_bad_images: bool = False) -> None:
    """Run until the last photo, after the first part, and mend the server then."""
    server.statuses[LAST] = 500
    with pytest.raises(AligncatError, match=r"05\.png"):
        run(server, out, skip_bad_images=skip_bad_images)
    del server.statuses[LAST]
    assert [path.name for path in Path(f"{out}.unfinished").glob("part-*")] == ["part-000000.jsonl"]


@pytest.mark.parametrize("tells_size", [True, False])
def test_only_other_bytes_hinder_a_run_from_going_on(server: PhotoServer, tmp_path: Path, tells_size: bool) -> None:
    server.tells_size = tells_size
    interrupt(server, tmp_path / "same.jsonl")
    interrupt(server, tmp_path / "other.jsonl")
    run(server, tmp_path / "same.jsonl")
    server.files[SECOND] = server.files[SECOND][:-1] + b"!"
    with pytest.raises(DataError, match=r"01\.png: has changed since its phrases were answered"):
        run(server, tmp_path / "other.jsonl")


@pytest.mark.parametrize("status", [403, 404])
def test_a_photo_that_is_refused_alone_or_gone_is_left_out_again(
    server: PhotoServer, tmp_path: Path, status: int
) -> None:
    server.statuses[SECOND] = status
    interrupt(server, tmp_path / "a.jsonl", skip_bad_images=True)
    interrupt(server, tmp_path / "b.jsonl", skip_bad_images=True)
    made = run(server, tmp_path / "a.jsonl", skip_bad_images=True)
    again = run(server, tmp_path / "a.jsonl", skip_bad_images=True)
    assert again.finished_before and again.bad == made.bad and "/01.png" in made.bad[0]
    server.statuses[""] = 403
    with pytest.raises(DataError, match="cannot be read to see whether it has changed"):
        run(server, tmp_path / "a.jsonl", skip_bad_images=True)
    server.statuses.clear()
    with pytest.raises(DataError, match=r"a\.jsonl exists and .* photos have changed since"):
        run(server, tmp_path / "a.jsonl", skip_bad_images=True)
    with pytest.raises(DataError, match=r"01\.png: has changed since its phrases were answered"):
        run(server, tmp_path / "b.jsonl", skip_bad_images=True)
