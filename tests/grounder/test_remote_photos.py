"""`ground` on remote photos: the answers are those on the same photos of a disk."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import fsspec
import pytest
from helpers.light_detector import LightDetector
from helpers.light_grounder import LightGrounder
from helpers.s3_server import s3_bucket
from helpers.worker_runs import write_photos

from aligncat.arguments.inputs import check_inputs
from aligncat.cluster.grounding import GroundingJob, parts_by_workers
from aligncat.cluster.start import open_driver
from aligncat.errors import ConfigError, DataError, ImageError
from aligncat.files.given_images import as_rgb
from aligncat.grounder.ground_many import Answering, ground_photos
from aligncat.grounder.requests.request import Request, check_names
from aligncat.grounder.requests.tables import read_table
from aligncat.grounder.requests.words import requests_of
from aligncat.grounder.writers import part
from aligncat.grounder.writers.formats import find_format
from aligncat.grounder.writers.output import Output, Written
from aligncat.grounder.writers.write import write_answers
from aligncat.locations import RemotePath, location
from aligncat.types import ImageRecord

PHRASES = ("upper half", "lower half")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "PART", 4)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_bucket() as address:
        yield address


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest, images: list[ImageRecord]) -> Iterator[str]:
    """Return the URL of a remote folder with the photos."""
    if request.param == "memory":
        system, url = fsspec.filesystem("memory"), "memory://ground"
    else:
        request.getfixturevalue("server")
        system, url = fsspec.filesystem("s3", use_listings_cache=False), "s3://bucket/ground"
    _, path = fsspec.url_to_fs(url)
    for image in images:
        system.pipe_file(f"{path}/{image.path.name}", Path(str(image.path)).read_bytes())
    yield url
    if system.exists(url):
        system.rm(url, recursive=True)


def run(requests: list[Request], out: Path, *, detector: LightDetector | None = None, workers: int = 0) -> Written:
    grounder = LightGrounder(detector or LightDetector())
    output = Output(out, find_format(None, out))
    if not workers:
        return write_answers(grounder, requests, output, answering=Answering())
    job = GroundingJob(partial(LightGrounder, grounder.detector), None, Answering(), False, False)  # type: ignore[arg-type]
    with open_driver(job, workers, None, deadline=900) as driver:
        parts = parts_by_workers(driver, grounder, None)
        return write_answers(grounder, requests, output, answering=Answering(), write_parts=parts)


def test_a_remote_folder_is_answered_as_the_folder_of_a_disk(
    images: list[ImageRecord], root: str, tmp_path: Path
) -> None:
    remote = requests_of(location(root), PHRASES)
    local = requests_of(Path(str(images[0].path)).parent, PHRASES)
    assert [each.name for each in remote] == [each.name for each in local]
    assert isinstance(remote[0].path, RemotePath)
    run(remote, tmp_path / "remote" / "answers.jsonl")
    run(local, tmp_path / "local" / "answers.jsonl")
    files = [{each.name: each.read_bytes() for each in (tmp_path / name).iterdir()} for name in ("remote", "local")]
    assert files[0] == files[1]


def test_a_table_may_name_remote_photos_beside_local_ones(images: list[ImageRecord], root: str, tmp_path: Path) -> None:
    here = Path(str(images[1].path))
    table = tmp_path / "table.csv"
    rows = [f"{root}/{images[0].path.name},upper half", f"{here},lower half"]
    table.write_text("\n".join(["image,phrase", *rows]))
    requests = read_table(table)
    assert [each.path for each in requests] == [RemotePath(f"{root}/{images[0].path.name}"), here]
    run(requests, tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == [each.name for each in requests]
    with pytest.raises(DataError, match="relative to its own folder"):
        check_names(requests[:1], "coco", files=False)


def test_single_remote_photos_are_named_below_their_common_folder(images: list[ImageRecord], root: str) -> None:
    first, second = (f"{root}/{each.path.name}" for each in images[:2])
    assert [each.name for each in requests_of(location(first), ["upper half"])] == [images[0].path.name]
    [one, two] = requests_of(location(first), [second, "upper half"])
    assert (one.name, two.name) == (images[0].path.name, images[1].path.name)
    other = f"{root.rpartition('/')[0]}/other/x.png"
    assert [each.name for each in requests_of(location(first), [other, "upper half"])] == [
        f"ground/{images[0].path.name}",
        "other/x.png",
    ]
    with pytest.raises(DataError, match="not on the same file system"):
        requests_of(Path(str(images[0].path)), [second, "upper half"])
    pixels = as_rgb(RemotePath(first)).tobytes()
    assert pixels == as_rgb(Path(str(images[0].path))).tobytes()


def test_workers_and_a_restart_write_the_bytes_of_one_process(
    images: list[ImageRecord], server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    system = fsspec.filesystem("s3", use_listings_cache=False)
    for image in images:
        system.pipe_file(f"bucket/many/{image.path.name}", Path(str(image.path)).read_bytes())
    requests = requests_of(location("s3://bucket/many"), PHRASES)
    run(requests, tmp_path / "one" / "answers.jsonl")
    out = tmp_path / "many" / "answers.jsonl"
    name = f"bucket/many/{images[9].path.name}"
    photo = system.cat_file(name)
    system.rm_file(name)
    with pytest.raises(ImageError, match=r"09\.png: .*the same command continues"):
        run(requests, out, workers=1)
    assert len(list((tmp_path / "many" / "answers.jsonl.unfinished").glob("part-*"))) == 2
    system.pipe_file(name, photo)
    detector = LightDetector(at="image", trouble="killed", once=tmp_path / "happened")
    with caplog.at_level(logging.WARNING, "aligncat.cluster"):
        run(requests, out, detector=detector, workers=2)
    assert any("another one does it again" in line for line in caplog.messages)
    files = [{each.name: each.read_bytes() for each in (tmp_path / name).iterdir()} for name in ("one", "many")]
    assert files[0] == files[1]


def test_a_remote_photo_that_changes_is_found(images: list[ImageRecord], root: str, tmp_path: Path) -> None:
    requests = requests_of(location(root), PHRASES)
    run(requests, tmp_path / "answers.jsonl")
    assert run(requests, tmp_path / "answers.jsonl").finished_before
    system, path = fsspec.url_to_fs(f"{root}/{images[0].path.name}", use_listings_cache=False)
    system.pipe_file(path, Path(str(images[1].path)).read_bytes())
    with pytest.raises(DataError, match="photos have changed since"):
        run(requests, tmp_path / "answers.jsonl")


def test_remote_photos_that_are_missing_are_errors_or_left_out(root: str) -> None:
    pairs = [(RemotePath(f"{root}/none.png"), ["upper half"])]
    with pytest.raises(ImageError, match=r"none\.png: the image cannot be read"):
        [*ground_photos(LightGrounder(), pairs, answering=Answering())]
    [answer] = ground_photos(LightGrounder(), pairs, answering=Answering(), skip_bad_images=True)
    assert answer.error is not None and answer.stamp is None


def test_a_server_that_does_not_answer_is_an_error(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.filesystem("s3").clear_instance_cache()
    try:
        with pytest.raises(DataError, match=r"s3://bucket/ground: cannot be looked at .*run the same command again"):
            requests_of(location("s3://bucket/ground"), PHRASES)
    finally:
        fsspec.filesystem("s3").clear_instance_cache()


def test_remote_tables_and_unknown_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="read from a disk alone"):
        requests_of(location("memory://ground/table.csv"), [])
    (tmp_path / "table.csv").write_text("image,phrase\nnobody://knows/it.png,upper half\n")
    with pytest.raises(ConfigError, match=r"table\.csv:2: nobody://knows/it\.png: cannot be reached"):
        read_table(tmp_path / "table.csv")
    check_inputs("ground", {"image": "memory://ground/photo.png"})
    with pytest.raises(ConfigError, match="cannot be reached"):
        check_inputs("ground", {"image": "nobody://knows/it.png"})
