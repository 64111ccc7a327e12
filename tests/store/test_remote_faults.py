"""Servers that fail while photos are read from them: a fault of the server is no fault of a photo."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from helpers.photo_server import PhotoServer, served
from helpers.s3_server import demand_rights, s3_server, settings
from helpers.worker_runs import COUNT, by_many, by_one, write_photos

from aligncat.errors import DataError, ImageError, StoreError
from aligncat.locations import RemotePath
from aligncat.store.photo import Photo, RemotePhoto
from aligncat.store.sources import read_source

pytest.importorskip("aiohttp")  # with which fsspec speaks HTTP


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return [Path(str(photo.path)).read_bytes() for photo in write_photos(tmp_path_factory.mktemp("photos"))]


@pytest.fixture
def server(contents: list[bytes]) -> Iterator[PhotoServer]:
    with served(contents) as server:
        yield server


def photos_of(server: PhotoServer) -> list[Photo]:
    return [RemotePhoto(f"image {number:02d}", RemotePath(f"{server.url}/{number:02d}.png")) for number in range(COUNT)]


THIRD = "/photos/03.png"
AGAIN = "run the same command again"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_photo_that_is_gone_or_refused_is_left_out_where_asked(
    server: PhotoServer, tmp_path: Path, status: int
) -> None:
    server.statuses[THIRD] = status
    store = by_one(photos_of(server), tmp_path / "store", skip_bad_images=True)
    [skipped] = store.skipped
    assert skipped.id == "image 03" and "/photos/03.png: the image cannot be read (" in skipped.reason
    by_one(photos_of(server), tmp_path / "store", skip_bad_images=True)  # it is as it was
    with pytest.raises(ImageError, match=r"03\.png: the image cannot be read .*--skip-bad-images"):
        by_one(photos_of(server), tmp_path / "other")
    del server.statuses[THIRD]
    with pytest.raises(StoreError, match=r"1 photo has changed since .*/photos/03\.png"):
        by_one(photos_of(server), tmp_path / "store", skip_bad_images=True)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_for_a_moment_is_an_error_and_no_bad_photo(
    server: PhotoServer, tmp_path: Path, status: int
) -> None:
    out = tmp_path / "store"
    server.statuses[THIRD] = status
    with pytest.raises(DataError, match=rf"/photos/03\.png: cannot be read now .*{status}.*{AGAIN}") as raised:
        by_one(photos_of(server), out, skip_bad_images=True)
    assert not isinstance(raised.value, ImageError)
    server.statuses.clear()
    store = by_one(photos_of(server), out, skip_bad_images=True)
    assert len(store) == COUNT and store.skipped == ()


def test_workers_say_so_too(server: PhotoServer, tmp_path: Path) -> None:
    server.statuses[THIRD] = 500
    with pytest.raises(DataError, match=rf"/photos/03\.png: cannot be read now .*{AGAIN}"):
        by_many(photos_of(server), tmp_path / "store", workers=1, skip_bad_images=True)


def test_rights_that_end_for_all_photos_are_no_fault_of_a_photo(server: PhotoServer, tmp_path: Path) -> None:
    server.statuses[""] = 403
    with pytest.raises(DataError, match=rf"/photos/00\.png: cannot be read now .*your rights hold.*{AGAIN}") as raised:
        by_one(photos_of(server), tmp_path / "store", skip_bad_images=True)
    assert not isinstance(raised.value, ImageError)


def test_a_server_that_is_gone_is_no_fault_of_a_photo(server: PhotoServer) -> None:
    server.stop()
    with pytest.raises(DataError, match=r"00\.png: cannot be read now \(.*Connect") as raised:
        read_source(RemotePath(f"{server.url}/00.png"))
    assert not isinstance(raised.value, ImageError)


@pytest.mark.parametrize("status", [403, 500])
def test_a_photo_that_cannot_be_looked_at_is_not_called_unchanged(
    server: PhotoServer, tmp_path: Path, status: int
) -> None:
    by_one(photos_of(server), tmp_path / "store")
    server.statuses[THIRD] = status
    with pytest.raises(StoreError, match=rf"03\.png: cannot be read to see whether it has changed .*{AGAIN}"):
        by_one(photos_of(server), tmp_path / "store")
    server.statuses[THIRD] = 404  # a photo that is missing now has not changed
    by_one(photos_of(server), tmp_path / "store")


def test_a_photo_that_was_left_out_and_cannot_be_looked_at_now_is_not_called_bad(
    server: PhotoServer, tmp_path: Path
) -> None:
    server.statuses[THIRD] = 404
    by_one(photos_of(server), tmp_path / "store", skip_bad_images=True)
    server.statuses[THIRD] = 500
    with pytest.raises(StoreError, match=r"03\.png: cannot be read to see whether it has changed"):
        by_one(photos_of(server), tmp_path / "store", skip_bad_images=True)


@pytest.mark.parametrize(
    ("status", "number"), [(404, errno.ENOENT), (410, errno.ENOENT), (401, errno.EACCES), (500, errno.EIO)]
)
def test_statuses_are_errors_of_files(server: PhotoServer, status: int, number: int) -> None:
    path = RemotePath(f"{server.url}/03.png")
    assert path.exists() and path.stat().st_size == len(path.read_bytes())
    server.statuses[THIRD] = status
    for ask in (path.stat, path.read_bytes):
        with pytest.raises(OSError) as raised:
            ask()
        assert raised.value.errno == number


def test_rights_of_a_bucket_that_end_are_no_fault_of_a_photo(contents: list[bytes], tmp_path: Path) -> None:
    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in settings(address).items():
            patch.setenv(name, value)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        fsspec.filesystem("s3").mkdir("faults")
        photo = RemotePath("s3://faults/photos/00.png")
        photo.write_bytes(contents[0])
        demand_rights(address, demanded=True)
        with pytest.raises(DataError, match=rf"00\.png: cannot be read now .*{AGAIN}") as raised:
            read_source(photo)
        assert not isinstance(raised.value, ImageError)
        demand_rights(address, demanded=False)
        with pytest.raises(ImageError, match=r"01\.png: the image cannot be read \(no such file\)"):
            read_source(photo.parent / "01.png")
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize("tells_size", [True, False])
def test_only_other_bytes_are_another_photo_where_a_server_tells_no_time(
    server: PhotoServer, tmp_path: Path, tells_size: bool
) -> None:
    server.tells_size = tells_size
    by_one(photos_of(server), tmp_path / "store")
    by_one(photos_of(server), tmp_path / "store")  # it is as it was
    server.files[THIRD] = server.files[THIRD][:-1] + b"!"
    with pytest.raises(StoreError, match=r"1 photo has changed since .*/photos/03\.png"):
        by_one(photos_of(server), tmp_path / "store")


def test_a_refused_photo_is_left_out_also_where_its_folder_is_no_page(server: PhotoServer, tmp_path: Path) -> None:
    server.statuses |= {THIRD: 403, "/photos": 404}
    store = by_one(photos_of(server), tmp_path / "store", skip_bad_images=True)
    assert [each.id for each in store.skipped] == ["image 03"]
