"""Photos and stores on remote file systems: fsspec's memory, and S3 by a server of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from helpers.light_detector import LightDetector
from helpers.s3_server import demand_rights, s3_bucket
from helpers.worker_runs import COUNT, SHARD, by_many, by_one, hashes, write_photos

from aligncat.api.extract import extract
from aligncat.arguments.inputs import check_inputs
from aligncat.datasets.photos import remote_photos
from aligncat.errors import ConfigError, DataError, ImageError, StoreError
from aligncat.locations import RemotePath, file_sizes, location
from aligncat.store.by_content import StoredPhotos
from aligncat.store.extract import Extraction
from aligncat.store.manifest import Manifest
from aligncat.store.part import Part
from aligncat.store.photo import RemotePhoto
from aligncat.store.reader import Store
from aligncat.store.sources import read_source
from aligncat.types import ImageRecord


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_bucket() as address:
        yield address


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of an empty remote folder."""
    if request.param == "memory":
        system, url = fsspec.filesystem("memory"), "memory://tests"
    else:
        request.getfixturevalue("server")
        system, url = fsspec.filesystem("s3", use_listings_cache=False), "s3://bucket/tests"
    yield url
    if system.exists(url):
        system.rm(url, recursive=True)


@pytest.fixture
def photos(images: list[ImageRecord], root: str) -> str:
    """Return the URL of a remote folder with the photos."""
    system, path = fsspec.url_to_fs(root)
    for image in images:
        system.pipe_file(f"{path}/photos/below/{image.path.name}", Path(str(image.path)).read_bytes())
    return f"{root}/photos"


def content(folder: RemotePath) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in folder.sizes()}


def test_a_store_and_its_photos_may_be_remote(
    photos: str, root: str, images: list[ImageRecord], tmp_path: Path
) -> None:
    store = extract(images=photos, detector=LightDetector(), out=f"{root}/store")
    local = by_one([*images], tmp_path / "local")
    assert store.image_ids == tuple(f"below/{image.path.name}" for image in images)
    for one, other in zip(store.image_ids, local.image_ids, strict=True):
        np.testing.assert_array_equal(store.candidates(one).features, local.candidates(other).features)
    again = Store.open(f"{root}/store")
    again.check_shards()
    np.testing.assert_array_equal(again.tensors(store.image_ids).features, local.tensors(local.image_ids).features)
    _, stamp = read_source(images[3].path)
    assert StoredPhotos(again).find(stamp) == store.image_ids[3]


def test_parts_of_a_remote_store_make_the_bytes_of_one_process(photos: str, root: str) -> None:
    records = [RemotePhoto(name, path) for name, path in remote_photos(RemotePath(photos))]
    whole, parts = RemotePath(f"{root}/whole"), RemotePath(f"{root}/parts")
    by_one([*records], whole)
    for number in (3, 1, 2):
        detector = LightDetector()
        extraction = Extraction(records, Manifest.of(detector, [each.id for each in records], SHARD), parts)
        store = extraction.run(extraction.in_this_process(detector, skip_bad_images=False), Part(number, 3))
        assert (store is None) == (number != 2)
    assert content(parts) == content(whole)
    assert set(content(whole)) >= {"manifest.json", "complete.json", "index.parquet", "shard-00003.parquet"}


def test_a_worker_that_dies_on_a_remote_store_loses_nothing(
    server: str, images: list[ImageRecord], tmp_path: Path
) -> None:
    out = RemotePath("s3://bucket/killed")
    detector = LightDetector(at="image 06", trouble="killed", once=tmp_path / "happened")
    by_many([*images], out, detector, workers=1)
    by_one([*images], tmp_path / "local")
    assert (tmp_path / "happened").exists()
    assert {name: len(each) for name, each in content(out).items()} == file_sizes(tmp_path / "local")
    assert content(out) == {path.name: path.read_bytes() for path in (tmp_path / "local").iterdir()}


def test_a_cut_remote_shard_is_written_again(photos: str, root: str) -> None:
    folder = RemotePath(f"{root}/store")
    extract(images=photos, detector=LightDetector(), out=str(folder))
    before = content(folder)
    last = folder / "shard-00000.parquet"
    last.write_bytes(last.read_bytes()[:400])
    with pytest.raises(StoreError, match="damaged: it has 400 bytes"):
        Store.open(str(folder))
    (folder / "complete.json").unlink()
    extract(images=photos, detector=LightDetector(), out=str(folder))
    assert content(folder) == before


def test_the_first_writer_of_a_remote_file_counts(root: str) -> None:
    path = RemotePath(f"{root}/file")
    assert not path.exists()
    assert path.create(b"first") and not path.create(b"second")
    assert path.read_bytes() == b"first"
    path.unlink()
    path.unlink(missing_ok=True)
    assert not path.exists() and RemotePath(root).sizes() == {}


def test_a_remote_photo_that_changes_is_found(photos: str, root: str) -> None:
    extract(images=photos, detector=LightDetector(), out=f"{root}/store")
    RemotePath(f"{photos}/below/03.png").write_bytes(RemotePath(f"{photos}/below/04.png").read_bytes())
    with pytest.raises(StoreError, match=r"1 photo has changed since .*/below/03\.png"):
        extract(images=photos, detector=LightDetector(), out=f"{root}/store")


def test_remote_photos_that_cannot_be_read_are_errors(photos: str, root: str) -> None:
    RemotePath(f"{photos}/.hidden.png").write_bytes(b"x")
    RemotePath(f"{photos}/notes.txt").write_bytes(b"x")
    assert len(remote_photos(RemotePath(photos))) == COUNT
    with pytest.raises(ImageError, match=r"none\.png: the image cannot be read \(no such file\)"):
        read_source(RemotePath(f"{photos}/none.png"))
    with pytest.raises(DataError, match="has no image file that can be read"):
        remote_photos(RemotePath(f"{root}/empty"))


def test_a_remote_folder_with_other_files_is_not_taken_for_a_store(photos: str, root: str) -> None:
    RemotePath(f"{root}/other/file").write_bytes(b"x")
    with pytest.raises(StoreError, match="neither empty nor a store"):
        extract(images=photos, detector=LightDetector(), out=f"{root}/other")
    with pytest.raises(StoreError, match="not a store"):
        Store.open(f"{root}/none")


def test_a_bucket_without_rights_is_an_error(server: str, images: list[ImageRecord]) -> None:
    demand_rights(server, demanded=True)
    try:
        with pytest.raises(StoreError, match=r"bucket/refused: cannot create a store there \(Forbidden\)"):
            by_one([*images], RemotePath("s3://bucket/refused"))
        with pytest.raises(DataError, match=r"s3://bucket/photos: cannot be listed .*see whether you may read it"):
            remote_photos(RemotePath("s3://bucket/photos"))
    finally:
        demand_rights(server, demanded=False)


def test_rights_that_end_in_the_middle_lose_nothing(server: str, images: list[ImageRecord], tmp_path: Path) -> None:
    out = RemotePath("s3://bucket/ended")

    class Revoked(LightDetector):
        def detect(self, pictures, ids):  # type: ignore[no-untyped-def]
            if "image 09" in ids:
                demand_rights(server, demanded=True)
            return super().detect(pictures, ids)

    try:
        with pytest.raises(StoreError, match=r"shard-00002\.parquet: cannot be written .* the right to write there"):
            extraction = Extraction(images, Manifest.of(Revoked(), [each.id for each in images], SHARD), out)
            extraction.whole(extraction.in_this_process(Revoked(), skip_bad_images=False))
    finally:
        demand_rights(server, demanded=False)
    assert [name for name in content(out) if name.startswith("shard")] == ["shard-00000.parquet", "shard-00001.parquet"]
    by_one([*images], out)
    by_one([*images], tmp_path / "local")
    assert content(out) == {path.name: path.read_bytes() for path in (tmp_path / "local").iterdir()}


def test_no_bucket_and_no_server_are_errors(
    server: str, images: list[ImageRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreError, match="s3://none/store: cannot create a store there"):
        by_one([*images], RemotePath("s3://none/store"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    with pytest.raises(StoreError, match=r"cannot create a store there \(EndpointConnectionError"):
        by_one([*images], RemotePath("s3://bucket/store"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_an_unknown_kind_of_address_is_an_error() -> None:
    for check in (location, lambda url: check_inputs("train", {"store": url})):
        with pytest.raises(ConfigError, match="nonsense://folder: cannot be reached"):
            check("nonsense://folder")


def test_paths_of_disks_stay_paths(tmp_path: Path) -> None:
    assert location("photos") == Path("photos") and location(f"file://{tmp_path}") == tmp_path
    assert location("memory://a/b/") == RemotePath("memory://a/b")
    assert file_sizes(tmp_path / "none") == {}
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"four")
    assert file_sizes(tmp_path) == {"file": 4}
    assert hashes(tmp_path / "folder") == {}


def test_a_name_with_two_colons_is_that_file_and_no_chain_of_file_systems() -> None:
    system = fsspec.filesystem("memory")
    system.pipe("/colons/a", b"another file")
    system.pipe("/colons/a::b.jpg", b"this file")
    folder = location("memory://colons")
    assert isinstance(folder, RemotePath)
    assert (folder / "a::b.jpg").read_bytes() == b"this file"
    assert folder.files_below() == ["a", "a::b.jpg"]
