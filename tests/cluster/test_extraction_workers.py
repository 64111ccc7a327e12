"""Extraction by several processes: whatever happens to them, the store is the one that a single process makes."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers.light_detector import LightDetector
from helpers.worker_runs import COUNT, by_many, by_one, hashes

from aligncat.api.extract import extract
from aligncat.cluster.extraction import ShardTask
from aligncat.commands.ground import ground
from aligncat.errors import ConfigError, ImageError, StoreError, WorkerError
from aligncat.store.columns import IMAGE_FIELDS
from aligncat.store.complete import FileRecord
from aligncat.store.part import Part
from aligncat.store.photo import Photo
from aligncat.store.receipt import Receipt
from aligncat.types import ImageRecord

ROOT = Path(__file__).resolve().parents[2]
PARTS = "shard-*.parquet"


def test_two_workers_write_the_bytes_of_one_process(
    photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    store = by_many(photos, tmp_path / "store")
    assert store is not None and len(store) == COUNT
    assert hashes(tmp_path / "store") == of_one_process
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("trouble", ["killed", "hangs"])
def test_a_worker_that_is_lost_in_the_middle_of_a_shard_loses_nothing(
    photos: list[Photo],
    of_one_process: dict[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    detector = LightDetector(at="image 06", trouble=trouble, once=tmp_path / "happened")  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "aligncat.cluster"):
        by_many(photos, tmp_path / "store", detector, deadline=600 if trouble == "killed" else 15)
    assert (tmp_path / "happened").exists()
    assert hashes(tmp_path / "store") == of_one_process
    [line] = caplog.messages
    said = "died, perhaps because memory ran out," if trouble == "killed" else "did not return within 15 s"
    assert line == f"a worker {said} at shard 1; another one does it again"


def test_a_shard_that_kills_every_worker_is_an_error_and_the_others_are_kept(
    photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "store"
    with pytest.raises(WorkerError, match=r"died, .* at shard 3, 3 times; what else is done is kept"):
        by_many(photos, out, LightDetector(at="image 13", trouble="killed"), workers=1)
    assert sorted(path.name for path in out.glob(PARTS)) == [f"shard-{shard:05d}.parquet" for shard in (0, 1, 2)]
    kept = {path: path.stat().st_mtime_ns for path in out.glob(PARTS)}
    by_one(photos, out)
    assert hashes(out) == of_one_process
    assert {path: path.stat().st_mtime_ns for path in kept} == kept  # nothing is written twice


def test_a_disk_that_fills_is_an_error_that_says_how_to_resume(
    photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "store"
    with pytest.raises(StoreError, match=r"shard-0000\d.parquet: cannot be written \(File too large\); free some disk"):
        by_many(photos, out, LightDetector(at="image 09", trouble="full disk"), workers=1)
    assert len(list(out.glob(PARTS))) == 2 and not list(out.glob(".*.part"))
    by_one(photos, out)
    assert hashes(out) == of_one_process


def test_a_photo_that_cannot_be_read_is_an_error_or_left_out(photos: list[Photo], tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(Path(str(photos[5].path)).read_bytes()[:60])
    bad = [*photos[:5], ImageRecord("image 05", tmp_path / "cut.png"), *photos[6:]]
    with pytest.raises(ImageError, match=r"cut.png: .* Or give --skip-bad-images .* run the same command again"):
        by_many(bad, tmp_path / "store", workers=1)
    store = by_many(bad, tmp_path / "store", workers=1, skip_bad_images=True)
    assert store is not None and [each.id for each in store.skipped] == ["image 05"]
    by_one(bad, tmp_path / "alone", skip_bad_images=True)
    assert hashes(tmp_path / "store") == hashes(tmp_path / "alone")


def test_a_detector_that_cannot_be_sent_is_an_error(photos: list[Photo], tmp_path: Path) -> None:
    class Local(LightDetector):
        pass

    with pytest.raises(ConfigError, match=r"cannot be sent to other processes .* give the detector by its name"):
        by_many(photos, tmp_path / "store", Local())


def test_an_error_of_the_start_is_raised(photos: list[Photo], tmp_path: Path) -> None:
    with pytest.raises(AttributeError, match="description"):
        by_many(photos, tmp_path / "store", "no detector")  # type: ignore[arg-type]


NUMBERS = [
    ({"workers": 0}, "--workers 0: give the number of workers, at least 1"),
    ({"workers": 1, "deadline": 0.0}, "--deadline 0.0: give the seconds that a worker has for one task, more than 0"),
    ({"ray": "local", "deadline": -1.0}, "--deadline -1.0: give the seconds"),
    ({"deadline": math.nan}, "--deadline nan: give the seconds"),
    ({"deadline": 60.0}, "--deadline 60: is for workers; give --workers or --ray, or leave it out"),
]


@pytest.mark.parametrize(("numbers", "said"), NUMBERS)
@pytest.mark.parametrize("verb", [partial(extract, images="none"), partial(ground, "none", ["left"])])
def test_impossible_numbers_are_errors_before_anything_is_read_or_started(
    verb: Callable[..., object], tmp_path: Path, numbers: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        verb(out=tmp_path / "out.jsonl", **numbers)
    assert not list(tmp_path.iterdir())


def test_numbers_of_threads_for_levels_of_nesting_are_no_error(
    photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    by_many(photos, tmp_path / "store", workers=1)
    assert hashes(tmp_path / "store") == of_one_process


def test_another_detector_is_refused_before_anything_is_written(
    photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    by_one(photos, tmp_path / "store")
    with pytest.raises(StoreError, match="holds a different store"):
        by_many(photos, tmp_path / "store", replace(LightDetector(), name="other"), workers=1)
    assert hashes(tmp_path / "store") == of_one_process


def test_a_part_can_be_written_by_workers(photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path) -> None:
    assert by_many(photos, tmp_path / "store", workers=1, part=Part(2, 2)) is None
    assert len(list((tmp_path / "store").glob(PARTS))) == 2
    by_one(photos, tmp_path / "store")
    assert hashes(tmp_path / "store") == of_one_process


def test_tasks_and_receipts_are_far_too_small_for_the_store_of_ray(tmp_path: Path) -> None:
    # Ray passes values below 100 kB directly. The names here are as long as they get.
    names = [f"{'folder/' * 20}{number:03d}.jpg" for number in range(64)]
    task = ShardTask(7, tuple(ImageRecord(name, Path("/shared/photos") / name) for name in names))
    columns = [names, [None] * 64, [10**6] * 64, [10**18] * 64, [bytes(range(32))] * 64]
    receipt = Receipt(7, FileRecord.of(b"shard"), pa.table(columns, schema=pa.schema(IMAGE_FIELDS)))
    assert len(pickle.dumps(task)) < 50_000
    assert len(pickle.dumps(receipt)) < 50_000


DRIVER = """
import sys
from pathlib import Path
from helpers.light_detector import LightDetector
from helpers.worker_runs import by_many
from aligncat.types import ImageRecord

if __name__ == "__main__":
    photos = [ImageRecord(f"image {path.stem}", path) for path in sorted(Path(sys.argv[1]).glob("*.png"))]
    by_many(photos, Path(sys.argv[2]), LightDetector(seconds=0.2))
"""


def test_the_driver_can_be_killed_and_started_again(
    photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    script, out = tmp_path / "driver.py", tmp_path / "store"
    script.write_text(DRIVER)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
    folder = Path(str(photos[0].path)).parent
    with subprocess.Popen([sys.executable, script, folder, out], env=environment) as driver:
        while not list(out.glob(PARTS)):
            assert driver.poll() is None
            time.sleep(0.01)
        driver.send_signal(signal.SIGKILL)
    there = hashes(out)
    assert not (out / "complete.json").exists()
    by_one(photos, out)  # it waits for nobody: the workers end with their driver
    assert hashes(out) == of_one_process
    assert all(of_one_process[name] == value for name, value in there.items() if name.startswith("shard"))
