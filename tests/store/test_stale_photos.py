"""Photos that were replaced after their candidates were extracted are named; copies of the same photos are not."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import open_detector
from aligncat.errors import ImageError, StoreError
from aligncat.store.complete import COMPLETE
from aligncat.store.extract import extract_images
from aligncat.store.manifest import shard_name
from aligncat.store.sources import Stamp, read_source
from aligncat.types import ImageRecord

COUNT, SHARD = 5, 2
REMEDY = "Extract into another folder, or delete this one and extract again"


@pytest.fixture(scope="module")
def detector(tiny_detector: Path) -> Detector:
    return open_detector(str(tiny_detector), candidates=4)


def photo(path: Path, seed: int) -> Path:
    """Write a BMP of random pixels: all such files have the same size."""
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> list[ImageRecord]:
    (tmp_path / "photos").mkdir()
    return [
        ImageRecord(f"image {number}", photo(tmp_path / "photos" / f"{number}.bmp", number)) for number in range(COUNT)
    ]


@pytest.fixture
def extract(detector: Detector, tmp_path: Path) -> Callable[..., None]:
    def run(images: Sequence[ImageRecord], *, skip: bool = True) -> None:
        extract_images(images=images, detector=detector, out=tmp_path / "store", shard_size=SHARD, skip_bad_images=skip)

    return run


def finished(folder: Path) -> None:
    """Leave the store as it is."""


def without_the_last_shard(folder: Path) -> None:
    (folder / shard_name(2)).unlink()


def killed_before_its_last_file(folder: Path) -> None:
    (folder / COMPLETE).unlink()


STATES = [finished, without_the_last_shard, killed_before_its_last_file]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("state", STATES)
def test_a_replaced_photo_is_named(
    images: list[ImageRecord], extract: Callable[..., None], tmp_path: Path, state: Callable[[Path], None]
) -> None:
    """The new photo has the size of the old one, so only its time and its hash tell."""
    extract(images)
    state(tmp_path / "store")
    before = contents(tmp_path / "store")
    size = images[1].path.stat().st_size
    photo(images[1].path, 100)
    assert images[1].path.stat().st_size == size
    with pytest.raises(StoreError, match=rf"1 photo has changed .*photos/1\.bmp\. {REMEDY}"):
        extract(images)
    after = contents(tmp_path / "store")
    assert {name: content for name, content in before.items() if name != COMPLETE} == {
        name: content for name, content in after.items() if name != COMPLETE
    }


def test_a_photo_of_another_size_is_named_even_with_its_old_time(
    images: list[ImageRecord], extract: Callable[..., None]
) -> None:
    extract(images)
    for image in images:
        time = image.path.stat().st_mtime_ns
        with image.path.open("ab") as file:
            file.write(b"\0")
        os.utime(image.path, ns=(time, time))
    with pytest.raises(StoreError, match=r"5 photos have changed .*0\.bmp, .*1\.bmp, .*2\.bmp, \.\.\.\. Extract"):
        extract(images)


@pytest.mark.parametrize("state", STATES)
def test_touched_and_copied_photos_have_not_changed(
    images: list[ImageRecord],
    extract: Callable[..., None],
    tmp_path: Path,
    state: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    extract(images)
    state(tmp_path / "store")
    shutil.copytree(tmp_path / "photos", tmp_path / "copies")
    copies = [ImageRecord(image.id, tmp_path / "copies" / image.path.name) for image in images]
    for copy in copies:
        os.utime(copy.path, (1, 1))
    with caplog.at_level(logging.INFO, logger="aligncat"):
        extract(copies)
    done = f"{tmp_path / 'store'}: complete, nothing to do"
    assert [record.getMessage() for record in caplog.records] == ([done] if state is finished else [])


def test_a_finished_store_with_a_damaged_shard_is_not_called_complete(
    images: list[ImageRecord], extract: Callable[..., None], tmp_path: Path
) -> None:
    extract(images)
    shard = tmp_path / "store" / "shard-00001.parquet"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StoreError, match=r"shard-00001\.parquet: damaged"):
        extract(images)


def test_a_photo_that_is_missing_now_has_not_changed(images: list[ImageRecord], extract: Callable[..., None]) -> None:
    extract(images)
    images[0].path.unlink()
    extract(images)


def test_a_photo_that_was_missing_or_bad_then_and_is_there_now_is_named(
    images: list[ImageRecord], extract: Callable[..., None]
) -> None:
    images[0].path.rename(images[0].path.with_suffix(".away"))
    images[3].path.write_bytes(b"not a photo")
    extract(images)
    extract(images)
    photo(images[3].path, 3)
    with pytest.raises(StoreError, match=r"1 photo has changed .*3\.bmp"):
        extract(images)
    images[0].path.with_suffix(".away").rename(images[0].path)
    with pytest.raises(StoreError, match=r"2 photos have changed .*0\.bmp, .*3\.bmp"):
        extract(images)


def test_the_stamp_is_that_of_the_bytes_that_were_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    os.utime(tmp_path / "a", ns=(5, 1_700_000_000_123_456_789))
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert read_source(tmp_path / "a") == (b"abc", Stamp(3, 1_700_000_000_123_456_789, sha256))
    with pytest.raises(ImageError, match="no such image file"):
        read_source(tmp_path / "b")
