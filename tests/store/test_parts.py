"""Parts of a store, which jobs write side by side, and the step that finishes it."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.light_detector import LightDetector
from helpers.worker_runs import SHARD, by_one, hashes, write_photos

from aligncat.errors import ConfigError, LockedError, StoreError
from aligncat.files.atomic import create_atomic
from aligncat.files.locks import folder_lock, path_lock
from aligncat.store import extract
from aligncat.store.extract import Extraction
from aligncat.store.manifest import Manifest
from aligncat.store.part import Part
from aligncat.store.reader import Store
from aligncat.store.receipt import Receipt
from aligncat.store.writer import StoreWriter
from aligncat.types import ImageRecord


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def whole(images: list[ImageRecord], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = tmp_path_factory.mktemp("whole") / "store"
    by_one([*images], out)
    return hashes(out)


def write(images: list[ImageRecord], out: Path, part: str, detector: LightDetector | None = None) -> Store | None:
    """Write a part as `aligncat extract --shards` does."""
    chosen = detector or LightDetector()
    extraction = Extraction(images, Manifest.of(chosen, [image.id for image in images], SHARD), out)
    return extraction.run(extraction.in_this_process(chosen, skip_bad_images=False), Part.parse(part))


def test_the_last_part_finishes_the_store(images: list[ImageRecord], whole: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "store"
    assert write(images, out, "3/3") is None
    assert [path.name for path in out.glob("shard-*")] == ["shard-00002.parquet"]
    assert write(images, out, "1/3") is None  # shards 0 and 3
    with pytest.raises(StoreError, match=r"not finished\. 10 of 14 images are saved"):
        Store.open(out)
    store = write(images, out, "2/3")
    assert store is not None and len(store) == 14
    assert hashes(out) == whole


def test_a_part_may_be_written_again_also_after_the_end(
    images: list[ImageRecord], whole: dict[str, str], tmp_path: Path
) -> None:
    for part in ("1/2", "1/2", "2/2"):
        write(images, tmp_path / "store", part)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    assert write(images, tmp_path / "store", "1/2") is not None
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert hashes(tmp_path / "store") == whole


def test_more_parts_than_shards_are_asked_for(
    images: list[ImageRecord], whole: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "store"
    with caplog.at_level(logging.INFO, "aligncat.store"):
        assert write(images, out, "16/16") is None
    assert f"{out}: there are only 4 shards, so part 16/16 has none" in caplog.messages
    for number in range(1, 17):
        write(images, out, f"{number}/16")
    assert hashes(out) == whole


def test_the_whole_extraction_finishes_what_parts_have_left(
    images: list[ImageRecord], whole: dict[str, str], tmp_path: Path
) -> None:
    write(images, tmp_path / "store", "2/4")
    by_one([*images], tmp_path / "store")
    assert hashes(tmp_path / "store") == whole


def test_parts_at_the_same_time_make_one_store(
    images: list[ImageRecord], whole: dict[str, str], tmp_path: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = [*pool.map(lambda number: write(images, tmp_path / "store", f"{number}/4"), range(1, 5))]
    assert any(store is not None for store in stores)
    assert hashes(tmp_path / "store") == whole


def test_the_same_part_twice_at_the_same_time_is_an_error(images: list[ImageRecord], tmp_path: Path) -> None:
    with path_lock(tmp_path / "store" / "part-1-of-2"), pytest.raises(LockedError, match="part-1-of-2: another"):
        write(images, tmp_path / "store", "1/2")


def test_the_last_part_leaves_the_end_to_a_process_that_holds_the_store(
    images: list[ImageRecord], whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "_LOCK_SECONDS", 0.0)
    write(images, tmp_path / "store", "1/2")
    with folder_lock(tmp_path / "store"):
        assert write(images, tmp_path / "store", "2/2") is None
        assert not (tmp_path / "store" / "complete.json").exists()
    assert write(images, tmp_path / "store", "2/2") is not None
    assert hashes(tmp_path / "store") == whole


@pytest.mark.parametrize("harm", ["cut", "of another detector"])
def test_a_bad_shard_of_another_part_is_written_again_at_the_end(
    images: list[ImageRecord], whole: dict[str, str], tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    out, last = tmp_path / "store", "shard-00003.parquet"
    write(images, out, "2/2")
    if harm == "cut":
        os.truncate(out / last, 500)
    else:
        write(images, tmp_path / "other", "2/2", LightDetector(name="other"))
        (out / last).write_bytes((tmp_path / "other" / last).read_bytes())
    assert write(images, out, "1/2") is not None
    assert hashes(out) == whole
    [line] = [message for message in caplog.messages if last in message]
    assert line.endswith("It is extracted again now.")


def test_a_part_of_another_detector_is_refused(images: list[ImageRecord], tmp_path: Path) -> None:
    write(images, tmp_path / "store", "1/2")
    with pytest.raises(StoreError, match="holds a different store"):
        write(images, tmp_path / "store", "2/2", LightDetector(name="other"))


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "-1/4", "1/4 ", "a/b", "1/4/4", "\uff11/4"])
def test_a_part_that_cannot_be_is_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="from 1/16 to 16/16"):
        Part.parse(text)


def test_every_shard_belongs_to_one_part() -> None:
    found = sorted(shard for number in range(1, 6) for shard in Part(number, 5).of(range(23)))
    assert found == [*range(23)]


def opened(images: list[ImageRecord], out: Path) -> StoreWriter:
    return StoreWriter.open(out, Manifest.of(LightDetector(), [image.id for image in images], SHARD))


def contents(images: list[ImageRecord], tmp_path: Path) -> tuple[StoreWriter, list[object]]:
    store = by_one([*images], tmp_path / "source")
    return opened(images, tmp_path / "store"), [store.candidates(image.id) for image in images[:SHARD]]


def test_of_two_writers_of_a_shard_the_first_good_one_counts(images: list[ImageRecord], tmp_path: Path) -> None:
    writer, found = contents(images, tmp_path)
    receipt = writer.put(0, found)  # type: ignore[arg-type]
    path = tmp_path / "store" / receipt.name
    before = path.stat()
    assert (receipt.rows, receipt.record.size, receipt.skipped) == (SHARD, before.st_size, [])
    again = opened(images, tmp_path / "store").put(0, found)  # type: ignore[arg-type]
    assert again.record == receipt.record and path.stat() == before
    path.write_bytes(b"no shard")
    assert writer.put(0, found).record == receipt.record  # type: ignore[arg-type]
    assert path.stat().st_size == before.st_size


def test_a_receipt_that_does_not_fit_the_store_is_refused(images: list[ImageRecord], tmp_path: Path) -> None:
    writer, found = contents(images, tmp_path)
    receipt = writer.put(0, found)  # type: ignore[arg-type]
    for shard in (3, 4, -1):  # the last has two images, and there is no fifth
        with pytest.raises(StoreError, match="which is no shard of this store"):
            writer.accept(Receipt(shard, receipt.record, receipt.described))


def test_a_file_that_is_not_the_one_of_its_receipt_is_found_at_the_end(
    images: list[ImageRecord], tmp_path: Path
) -> None:
    by_one([*images], tmp_path / "store")
    (tmp_path / "store" / "complete.json").unlink()
    writer = opened(images, tmp_path / "store")
    assert writer.check_shards() == []
    os.truncate(tmp_path / "store" / "shard-00001.parquet", 100)
    with pytest.raises(StoreError, match=r"shard-00001\.parquet: damaged: it has 100 bytes, but"):
        writer.finish()
    assert not (tmp_path / "store" / "complete.json").exists()


def test_a_file_is_created_once(tmp_path: Path) -> None:
    assert create_atomic(tmp_path / "file", b"first")
    assert not create_atomic(tmp_path / "file", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"first")]


def test_one_of_many_creates_a_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        created = [*pool.map(lambda number: create_atomic(tmp_path / "file", bytes([number])), range(32))]
    assert sum(created) == 1
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [bytes([created.index(True)])]
