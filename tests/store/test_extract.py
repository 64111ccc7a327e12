"""Extraction in a real process that is killed, interrupted or out of disk space, and over unreadable images."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import open_detector
from aligncat.errors import ConfigError, DataError, ImageError, StoreError
from aligncat.store.extract import extract_images
from aligncat.store.manifest import Manifest
from aligncat.store.reader import Store
from aligncat.store.shard import extract_shard, read_batch, split_into_batches
from aligncat.store.writer import StoreWriter
from aligncat.types import ImageRecord

COUNT, SHARD = 42, 4  # the last shard is not full
# A server that has imported everything forks the processes. That saves the seconds of the imports in each.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["aligncat.store.extract", "aligncat.detectors.mask2former"])


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[ImageRecord]:
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    records = []
    for number in range(COUNT):
        coarse = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        size = (40 + 2 * number, 120 - 2 * number)
        path = folder / f"{number}.png"
        Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path)
        records.append(ImageRecord(f"image {number}", path))
    return records


@pytest.fixture(scope="module")
def detector(tiny_detector: Path) -> Detector:
    return open_detector(str(tiny_detector))


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file in a store's folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def shards(folder: Path) -> int:
    return len(list(folder.glob("shard-*.parquet")))


def child(detector_folder: str, images: Sequence[ImageRecord], out: Path, file_limit: int | None, log: Path) -> None:
    """Extract like the command line, with one line for a known error and exit status 130 for Ctrl-C."""
    with log.open("w") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if file_limit is not None:
        # A negative limit makes the kernel kill the process in the middle of the write that exceeds it. With a positive
        # limit, that write fails as it does on a full disk.
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if file_limit < 0 else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (abs(file_limit), abs(file_limit)))
    try:
        detector = open_detector(detector_folder)
        extract_images(images=images, detector=detector, out=out, shard_size=SHARD)
    except StoreError as error:
        os.write(sys.stderr.fileno(), f"{error}\n".encode())
        os._exit(1)
    except KeyboardInterrupt:
        os._exit(130)


class Runner:
    """A runner of extractions of the same images into one folder, each in its own process."""

    def __init__(self, detector: Path, images: Sequence[ImageRecord], out: Path) -> None:
        self.detector, self.images, self.out = detector, images, out
        self.log = out.with_name(f"{out.name}.log")

    def start(self, file_limit: int | None = None) -> multiprocessing.process.BaseProcess:
        arguments = (str(self.detector), self.images, self.out, file_limit, self.log)
        process = PROCESSES.Process(target=child, args=arguments)
        process.start()
        return process

    def finish(self, process: multiprocessing.process.BaseProcess) -> int:
        process.join(timeout=240)
        assert process.exitcode is not None, f"still running: {self.log.read_text()}"
        return process.exitcode

    def signal_when(self, reached: Callable[[], bool], number: signal.Signals) -> int:
        process = self.start()
        while not reached() and process.is_alive():
            time.sleep(0.0002)
        assert process.pid is not None
        os.kill(process.pid, number)
        return self.finish(process)


@pytest.fixture
def runner(tiny_detector: Path, images: list[ImageRecord], tmp_path: Path) -> Runner:
    return Runner(tiny_detector, images, tmp_path / "store")


@pytest.fixture(scope="module")
def uninterrupted(
    tiny_detector: Path, images: list[ImageRecord], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Return the file hashes of a store whose extraction was not interrupted."""
    runner = Runner(tiny_detector, images, tmp_path_factory.mktemp("whole") / "store")
    assert runner.finish(runner.start()) == 0, runner.log.read_text()
    return hashes(runner.out)


def test_the_store_holds_the_candidates_of_the_detector(
    detector: Detector, images: list[ImageRecord], tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    store = extract_images(images=images, detector=detector, out=tmp_path / "store", shard_size=SHARD)
    assert hashes(tmp_path / "store") == uninterrupted
    assert store.image_ids == tuple(record.id for record in images)
    assert store.manifest.detector == detector.description()
    assert store.manifest.environment["device"] == "cpu"
    # The same batch as in the extraction. Here it is a whole shard, because a shard is smaller than a batch.
    batch = [Image.open(record.path).convert("RGB") for record in images[4:8]]
    for direct in detector.detect(batch, [record.id for record in images[4:8]]):
        stored = store.candidates(direct.image_id)
        assert stored.masks == direct.masks
        for name in ("features", "queries", "categories", "confidences", "boxes"):
            np.testing.assert_array_equal(getattr(stored, name), getattr(direct, name))


def test_one_shard_can_be_extracted_by_itself(
    detector: Detector, images: list[ImageRecord], tmp_path: Path, uninterrupted: dict[str, str]
) -> None:
    manifest = Manifest.of(detector, [record.id for record in images], SHARD)
    writer = StoreWriter.open(tmp_path / "store", manifest)
    batches = split_into_batches([images[index] for index in manifest.images_of(1)], 3)
    sizes: list[int] = []
    content = extract_shard(map(read_batch, batches), detector, skip_bad_images=False, advance=sizes.append)
    assert sizes == [3, 1]
    assert [found.image_id for found in content.images] == ["image 4", "image 5", "image 6", "image 7"]
    assert list(content.stamps) == ["image 4", "image 5", "image 6", "image 7"]
    batches = split_into_batches([images[index] for index in manifest.images_of(1)], detector.batch_size)
    content = extract_shard(map(read_batch, batches), detector, skip_bad_images=False, advance=sizes.append)
    writer.write(1, content.images, content.stamps)
    name = "shard-00001.parquet"
    assert hashes(tmp_path / "store")[name] == uninterrupted[name]


def test_after_several_kills_the_store_has_the_same_bytes(runner: Runner, uninterrupted: dict[str, str]) -> None:
    manifest = runner.out / "manifest.json"
    assert runner.signal_when(manifest.exists, signal.SIGKILL) == -signal.SIGKILL
    for already in (1, 2, 4):
        code = runner.signal_when(lambda done=already: shards(runner.out) >= done, signal.SIGKILL)
        assert code == -signal.SIGKILL
        with pytest.raises(StoreError, match="not finished"):
            Store.open(runner.out)
    assert runner.finish(runner.start()) == 0
    assert hashes(runner.out) == uninterrupted
    assert runner.finish(runner.start()) == 0  # nothing left to do
    assert hashes(runner.out) == uninterrupted


@pytest.mark.parametrize("limit", [300, 2_000])
def test_after_a_kill_in_the_middle_of_a_write_the_store_has_the_same_bytes(
    runner: Runner, uninterrupted: dict[str, str], limit: int
) -> None:
    assert runner.finish(runner.start(file_limit=-limit)) == -signal.SIGXFSZ
    [part] = runner.out.glob("*.part")
    assert part.stat().st_size == limit  # the manifest or the first shard, cut off
    assert shards(runner.out) == 0
    assert runner.finish(runner.start()) == 0
    assert hashes(runner.out) == uninterrupted


def test_a_full_disk_loses_nothing_and_the_error_says_how_to_resume(
    runner: Runner, uninterrupted: dict[str, str]
) -> None:
    assert runner.signal_when(lambda: shards(runner.out) >= 2, signal.SIGKILL) == -signal.SIGKILL
    done = shards(runner.out)
    assert runner.finish(runner.start(file_limit=2_000)) == 1
    assert (
        f"shard-{done:05d}.parquet: cannot be written (File too large); free some disk space. "
        f"{done * SHARD} of {COUNT} images are saved in {runner.out}; run the same command again to resume."
    ) in runner.log.read_text()
    assert not list(runner.out.glob("*.part")) and shards(runner.out) == done
    assert runner.finish(runner.start()) == 0
    assert hashes(runner.out) == uninterrupted


def test_ctrl_c_prints_how_much_is_saved_and_how_to_resume(runner: Runner, uninterrupted: dict[str, str]) -> None:
    assert runner.signal_when(lambda: shards(runner.out) >= 1, signal.SIGINT) == 130
    done = shards(runner.out) * SHARD
    assert 0 < done < COUNT
    expected = f"Stopped. {done} of {COUNT} images are saved in {runner.out}; run the same command again to resume."
    assert expected in runner.log.read_text()
    assert "Traceback" not in runner.log.read_text()
    assert not list(runner.out.glob("*.part"))
    assert runner.finish(runner.start()) == 0
    assert hashes(runner.out) == uninterrupted


def with_bad_images(images: list[ImageRecord], folder: Path) -> list[ImageRecord]:
    """Replace some images by a truncated file, a missing file and a whole shard of empty files."""
    truncated = folder / "truncated.png"
    truncated.write_bytes(images[1].path.read_bytes()[:200])
    (folder / "empty.png").write_bytes(b"")
    bad = list(images)
    bad[1] = ImageRecord("image 1", truncated)
    bad[6] = ImageRecord("image 6", folder / "missing.png")
    bad[8:12] = [ImageRecord(f"image {number}", folder / "empty.png") for number in range(8, 12)]
    return bad


def test_a_bad_image_stops_the_extraction_with_a_remedy(
    detector: Detector, images: list[ImageRecord], tmp_path: Path
) -> None:
    bad = with_bad_images(images, tmp_path)
    bad[1] = images[1]
    with pytest.raises(ImageError) as caught:
        extract_images(images=bad, detector=detector, out=tmp_path / "store", shard_size=SHARD)
    message = str(caught.value)
    assert f"{tmp_path / 'missing.png'}: no such image file" in message
    assert "--skip-bad-images" in message
    assert f"4 of {COUNT} images are saved" in message
    assert shards(tmp_path / "store") == 1
    # With good images, the extraction resumes.
    store = extract_images(images=images, detector=detector, out=tmp_path / "store", shard_size=SHARD)
    assert len(store) == COUNT


def test_bad_images_can_be_skipped(
    detector: Detector,
    images: list[ImageRecord],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = with_bad_images(images, tmp_path)
    with caplog.at_level(logging.WARNING):
        store = extract_images(
            images=bad, detector=detector, out=tmp_path / "store", shard_size=SHARD, skip_bad_images=True
        )
    left_out = [f"image {number}" for number in (1, 6, 8, 9, 10, 11)]
    assert [each.id for each in store.skipped] == left_out
    assert store.image_ids == tuple(each.id for each in images if each.id not in left_out)
    assert store.tensors(store.image_ids).valid.any(dim=1).all()
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 6 and "truncated.png" in warnings[0] and "missing.png" in warnings[1]
    listed = json.loads((tmp_path / "store" / "complete.json").read_text())
    assert listed["images"] == COUNT - 6 and [each["id"] for each in listed["skipped"]] == left_out


@pytest.mark.parametrize("shard_size", [1, 3, 64])
def test_every_shard_size_gives_the_same_candidates(
    detector: Detector, images: list[ImageRecord], tmp_path: Path, shard_size: int
) -> None:
    few = images[:7]
    store = extract_images(images=few, detector=detector, out=tmp_path / "store", shard_size=shard_size)
    assert shards(tmp_path / "store") == -(-7 // shard_size)
    for record in few:
        [direct] = detector.detect([Image.open(record.path).convert("RGB")], [record.id])
        stored = store.candidates(record.id)
        # A different batch may change the last bits, but no more.
        np.testing.assert_array_equal(stored.queries, direct.queries)
        np.testing.assert_allclose(stored.confidences, direct.confidences, rtol=1e-4)
        np.testing.assert_allclose(stored.features, direct.features, atol=4e-3)


def test_another_detector_or_other_images_cannot_resume_a_store(
    tiny_detector: Path, detector: Detector, images: list[ImageRecord], tmp_path: Path
) -> None:
    extract_images(images=images[:3], detector=detector, out=tmp_path / "store")
    other = open_detector(str(tiny_detector), candidates=7, image_size=96)
    with pytest.raises(StoreError) as caught:
        extract_images(images=images[:3], detector=other, out=tmp_path / "store")
    assert "detector.image_size: the store has 64, not 96" in str(caught.value)
    assert "candidates: the store has 20, not 7" in str(caught.value)
    with pytest.raises(StoreError, match="image_ids_sha256"):
        extract_images(images=images[1:4], detector=detector, out=tmp_path / "store")


def test_invalid_arguments_are_refused_before_a_folder_is_created(
    detector: Detector, images: list[ImageRecord], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="shard_size 0"):
        extract_images(images=images, detector=detector, out=tmp_path / "store", shard_size=0)
    with pytest.raises(DataError, match="'image 0' is given more than once"):
        extract_images(images=[images[0], images[1], images[0]], detector=detector, out=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_store_can_have_no_images(detector: Detector, tmp_path: Path) -> None:
    store = extract_images(images=[], detector=detector, out=tmp_path / "store")
    assert len(store) == 0 and store.tensors([]).features.shape == (0, 20, 32)


def test_progress_and_speed_are_shown_on_stderr(
    detector: Detector,
    images: list[ImageRecord],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    extract_images(images=images[:5], detector=detector, out=tmp_path / "store", shard_size=2)
    output = capsys.readouterr()
    assert output.out == ""
    assert re.search(r"extract .* 5/5 \d+\.\d images/s 0:00:00", output.err)
