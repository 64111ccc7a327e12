"""Extraction on a local Ray cluster of two workers: whatever happens, the store is the one of a single process."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from helpers.light_detector import LightDetector
from helpers.light_grounder import LightGrounder
from helpers.phrase_store import Thing, write_store
from helpers.worker_runs import by_many, hashes
from PIL import Image

from aligncat.api.extract import extract
from aligncat.api.phrases import make_phrases
from aligncat.cluster.extraction import ExtractionJob
from aligncat.cluster.grounding import GroundingJob, parts_by_workers
from aligncat.cluster.ray_workers import _connect
from aligncat.cluster.start import open_driver
from aligncat.errors import ConfigError, StoreError
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.tables import read_table
from aligncat.grounder.writers.formats import find_format
from aligncat.grounder.writers.output import Output
from aligncat.grounder.writers.write import write_answers
from aligncat.phrases import making
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.store.photo import Photo
from aligncat.types import ImageRecord

ray = pytest.importorskip("ray")
ROOT = Path(__file__).resolve().parents[2]
PARTS = "shard-*.parquet"


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Start a cluster with two processor cores, and return its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}")  # of the workers
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield start_cluster()
        ray.shutdown()


def start_cluster() -> str:
    """Start Ray. It gives itself 30 s for that, which is too short where other tests use all cores, so try again."""
    for attempt in range(4):
        try:
            context = ray.init(
                address="local",
                num_cpus=2,
                object_store_memory=80 * 2**20,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
            return str(context.address_info["gcs_address"])
        except Exception as error:
            if attempt == 3 or "timed out during startup" not in str(error):
                raise
            ray.shutdown()
    raise AssertionError("unreachable")


def test_two_workers_write_the_bytes_of_one_process(
    cluster: str, photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    by_many(photos, tmp_path / "store", ray=cluster)
    assert hashes(tmp_path / "store") == of_one_process


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["killed", "hangs"])
def test_a_worker_that_is_lost_in_the_middle_of_a_shard_loses_nothing(
    cluster: str,
    photos: list[Photo],
    of_one_process: dict[str, str],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    detector = LightDetector(at="image 06", trouble=trouble, once=tmp_path / "happened")  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING, "aligncat.cluster"):
        by_many(photos, tmp_path / "store", detector, ray=cluster, deadline=600 if trouble == "killed" else 30)
    assert (tmp_path / "happened").exists()
    assert hashes(tmp_path / "store") == of_one_process
    [line] = caplog.messages
    assert line.startswith("a worker di") and line.endswith("at shard 1; another one does it again")


@pytest.mark.slow
def test_a_disk_that_fills_is_an_error_and_loses_nothing(
    cluster: str, photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "store"
    with pytest.raises(StoreError, match=r"cannot be written \(File too large\); free some disk space"):
        by_many(photos, out, LightDetector(at="image 09", trouble="full disk"), ray=cluster, workers=1)
    assert len(list(out.glob(PARTS))) == 2
    by_many(photos, out, ray=cluster)
    assert hashes(out) == of_one_process


DRIVER = """
import sys
from pathlib import Path
from helpers.light_detector import LightDetector
from helpers.worker_runs import by_many
from aligncat.types import ImageRecord

photos = [ImageRecord(f"image {path.stem}", path) for path in sorted(Path(sys.argv[1]).glob("*.png"))]
by_many(photos, Path(sys.argv[2]), LightDetector(seconds=0.5), ray=sys.argv[3])
"""


@pytest.mark.slow
def test_the_driver_can_be_killed_and_started_again(
    cluster: str, photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    out, folder = tmp_path / "store", Path(str(photos[0].path)).parent
    command = [sys.executable, "-c", DRIVER, str(folder), str(out), cluster]
    with subprocess.Popen(command) as driver:
        while not list(out.glob(PARTS)):
            assert driver.poll() is None
            time.sleep(0.01)
        driver.send_signal(signal.SIGKILL)
    written = {path: path.stat().st_mtime_ns for path in out.glob(PARTS)}
    assert not (out / "complete.json").exists()
    by_many(photos, out, ray=cluster)
    assert hashes(out) == of_one_process
    assert {path: path.stat().st_mtime_ns for path in written} == written  # nothing twice


@pytest.mark.slow
def test_a_cluster_is_started_here_for_the_address_local(
    photos: list[Photo], of_one_process: dict[str, str], tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
    folder = Path(str(photos[0].path)).parent
    command = [sys.executable, "-c", DRIVER, str(folder), str(tmp_path / "store"), "local"]
    subprocess.run(command, env=environment, check=True)
    assert hashes(tmp_path / "store") == of_one_process


WITHOUT_CORES = """
import ray
from helpers.light_detector import LightDetector
from aligncat.cluster.extraction import ExtractionJob
from aligncat.cluster.start import open_driver
from aligncat.errors import ConfigError

ray.init(address="local", num_cpus=0, num_gpus=0, object_store_memory=80 * 2**20, include_dashboard=False)
try:
    open_driver(ExtractionJob(LightDetector, "store", 4, False), None, "auto", deadline=60)
except ConfigError as error:
    print(error)
"""


def test_a_cluster_without_cores_is_an_error() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", WITHOUT_CORES]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    assert "--ray auto: the cluster has no processor core now; start a machine that has some" in said


def test_relative_paths_are_followed_from_the_folder_of_the_command(
    cluster: str,
    photos: list[Photo],
    of_one_process: dict[str, str],
    tiny_detector: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(str(photos[0].path)).parent
    monkeypatch.chdir(tmp_path)
    relative = [ImageRecord(photo.id, Path(os.path.relpath(str(photo.path)))) for photo in photos]
    by_many([*relative], Path("store"), ray=cluster)
    assert hashes(tmp_path / "store") == of_one_process
    shutil.copytree(folder, "few", ignore=lambda _, names: [name for name in names if not name.startswith("0")])
    shutil.copytree(tiny_detector, "detector")
    options = {"images": "few", "detector": "detector", "device": "cpu", "candidates": 4}
    extract(out="by one", **options)  # type: ignore[arg-type]
    extract(out="by ray", ray=cluster, workers=1, **options)  # type: ignore[arg-type]
    assert hashes(tmp_path / "by ray") == hashes(tmp_path / "by one")


def test_relative_paths_of_ground_are_followed_too(
    cluster: str, photos: list[Photo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(Path(str(photos[0].path)).parent, "photos")
    Path("table.csv").write_text("image,phrase\nphotos/00.png,left\nphotos/01.png,right\n")
    requests = read_table(Path("table.csv"))
    assert not requests[0].path.is_absolute()
    job = GroundingJob(partial(LightGrounder, LightDetector()), None, Answering(), False, False)  # type: ignore[arg-type]
    with open_driver(job, 1, cluster, deadline=600, accelerator=False) as driver:
        output = Output(Path("answers.jsonl"), find_format(None, Path("answers.jsonl")))
        grounder = LightGrounder(LightDetector())
        parts = parts_by_workers(driver, grounder, None)
        write_answers(grounder, requests, output, answering=Answering(), write_parts=parts)
    answers = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert [each["image"] for each in answers] == ["photos/00.png", "photos/01.png"]


@pytest.mark.slow
def test_pseudo_phrases_of_a_worker_are_those_of_one_process(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(making, "PART", 3)
    names = [f"{number:02d}.jpg" for number in range(11)]
    things = [Thing("dog", (5, 10, 30, 40)), Thing("dog", (70, 10, 95, 40)), Thing("cat", (20, 60, 80, 95))]
    write_store(Path("store"), {name: things[number % 2 :] for number, name in enumerate(names)})
    Path("photos").mkdir()
    for name in names:
        Image.new("RGB", (100, 100)).save(Path("photos") / name)
    recipe = PhraseRecipe(val=0.2, colours="none")
    make_phrases(store="store", images="photos", out="alone", recipe=recipe)
    made = make_phrases(store="store", images="photos", out="many", recipe=recipe, ray=cluster, workers=1)
    assert made is not None and sum(made.images.values()) == 11
    assert hashes(Path("many")) == hashes(Path("alone")) and not Path("many.unfinished").exists()


@pytest.mark.parametrize("address", ["local", "127.0.0.1:9", "ray://127.0.0.1:10001"])
def test_another_cluster_than_that_of_this_process_is_an_error(cluster: str, tmp_path: Path, address: str) -> None:
    job = ExtractionJob(LightDetector, tmp_path / "store", 4, False)
    said = f"--ray {address}: this process is connected to the Ray cluster at {cluster} already; give auto to use that"
    with pytest.raises(ConfigError, match=said):
        open_driver(job, 1, address, deadline=60, accelerator=False)


def test_a_bad_deadline_is_found_before_a_cluster_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--deadline 0"):
        open_driver(ExtractionJob(LightDetector, tmp_path / "store", 4, False), 1, "127.0.0.1:9", deadline=0)


def test_a_cluster_without_accelerators_is_an_error(cluster: str, tmp_path: Path) -> None:
    job = ExtractionJob(LightDetector, tmp_path / "store", 4, False)
    with pytest.raises(ConfigError, match="the cluster has no accelerator; give --device cpu"):
        open_driver(job, 1, cluster, deadline=60, accelerator=True)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nowhere", "here:x"])
def test_a_cluster_that_is_not_there_is_an_error(address: str) -> None:
    with pytest.raises(ConfigError, match=f"--ray {address}: no Ray cluster can be reached there"):
        _connect(ray, address, 1)  # and not open_driver, which takes the cluster of this process if there is one
