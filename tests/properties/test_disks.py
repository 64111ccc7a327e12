"""Full and read-only disks: every verb names what it cannot write and what to do, and leaves nothing behind."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from helpers.light_detector import LightDetector
from helpers.tiny_verbs import Bench
from helpers.worker_runs import SHARD, by_one, write_photos

from aligncat.store.extract import Extraction
from aligncat.store.manifest import Manifest
from aligncat.store.part import Part

Mount = Callable[[Path, str], None]
WRITERS = (
    *("data mojiref", "data prepare source", "data prepare mirror", "data convert refer", "data convert simrec"),
    *("extract", "train", "evaluate", "report", "report again", "audit", "detector import", "import querymatch"),
    *("detector train", "detector train-mini", "quickstart", "ablate"),
)


def in_the_fast_suite(*names: str, without: str = "") -> list[ParameterSet]:
    """Return all verbs, those that are not named here marked as slow."""
    marks = {name: () if name in names else pytest.mark.slow for name in WRITERS if name != without}
    return [pytest.param(name, marks=mark) for name, mark in marks.items()]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Return a function that mounts a small disk on a folder, with options such as "size=64k"; only root can."""
    mounted: list[Path] = []

    def mount_disk(folder: Path, options: str) -> None:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("only root can mount a small disk")
        mounted.append(folder)

    yield mount_disk
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def last_line(output: str) -> str:
    return output.rstrip().splitlines()[-1]


@pytest.mark.parametrize(
    "name",
    in_the_fast_suite("data prepare mirror", "data convert simrec", "extract", "train", "evaluate", "report again"),
)
def test_a_full_disk_is_named_with_the_remedy(bench: Bench, name: str, mount: Mount) -> None:
    bench.out.mkdir()
    mount(bench.out, "size=2m")
    bench.case.prepare(bench.out)
    filler = bench.out / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    for room in (0, 4096):  # nothing, or the lock
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - room)
        ended = bench.run()
        assert ended.status == 1, ended.output
        assert "Traceback" not in ended.output
        line = last_line(ended.output)
        assert line.startswith(f"aligncat {' '.join(bench.case.words[:1])}") and str(bench.out) in line
        assert "(No space left on device); " in line and ("free some disk" in line or "choose another folder" in line)
        assert not list(bench.out.rglob(".*")), "no lock, temporary file or unfinished folder is left"


@pytest.mark.parametrize("name", in_the_fast_suite("extract", "evaluate"))
def test_a_read_only_disk_is_named_with_the_remedy(bench: Bench, name: str, mount: Mount) -> None:
    bench.out.mkdir()
    mount(bench.out, "size=2m")
    bench.case.prepare(bench.out)
    subprocess.run(["mount", "-o", "remount,ro", bench.out], check=True)
    ended = bench.run()
    assert ended.status == 1, ended.output
    line = last_line(ended.output)
    assert "Traceback" not in ended.output and str(bench.out) in line
    assert "cannot be written (read-only file system); choose another folder, or change its permissions" in line, line


# The files of an audit are smaller.
@pytest.mark.parametrize("name", in_the_fast_suite("train", "report again", without="audit"))
def test_a_file_that_becomes_too_large_is_named(bench: Bench, name: str) -> None:
    bench.fresh()
    ended = bench.run(file_limit=400)  # room for the lock
    line = last_line(ended.output)
    assert ended.status == 1 and "Traceback" not in ended.output, ended.output
    assert str(bench.out) in line and "(File too large)" in line, line
    assert not list(bench.out.rglob(".*")), "no lock, temporary file or unfinished folder is left"


@pytest.mark.parametrize("part", [None, Part(1, 2), Part(16, 16)])
def test_a_finished_store_on_a_read_only_disk_is_complete(
    part: Part | None, mount: Mount, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, detector = tmp_path / "store", LightDetector()
    out.mkdir()
    mount(out, "size=2m")
    (tmp_path / "photos").mkdir()
    photos = write_photos(tmp_path / "photos")
    by_one([*photos], out)
    subprocess.run(["mount", "-o", "remount,ro", out], check=True)
    extraction = Extraction(photos, Manifest.of(detector, [photo.id for photo in photos], SHARD), out)
    with caplog.at_level(logging.INFO, "aligncat.store"):
        store = extraction.run(extraction.in_this_process(detector, skip_bad_images=False), part)
    assert store is not None and len(store) == len(photos)
    assert caplog.messages[-1] == f"{out}: complete, nothing to do"
