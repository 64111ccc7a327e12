"""Shares of an output, which jobs answer side by side: whatever happens to them, it is the output of one process."""

from __future__ import annotations

import logging
import multiprocessing
import re
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from helpers.light_detector import LightDetector
from helpers.light_grounder import LightGrounder
from helpers.worker_runs import write_photos
from PIL import Image

from aligncat.cluster.grounding import GroundingJob, parts_by_workers
from aligncat.cluster.start import open_driver
from aligncat.commands.closing import closing_line
from aligncat.commands.ground import ground
from aligncat.errors import ConfigError, DataError, ImageError, LockedError
from aligncat.files.locks import path_lock
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.request import Request
from aligncat.grounder.writers import part, unfinished
from aligncat.grounder.writers.formats import find_format
from aligncat.grounder.writers.output import Output, Written
from aligncat.grounder.writers.part import count_photos
from aligncat.grounder.writers.write import write_answers
from aligncat.store.part import Part
from aligncat.types import Candidates

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["pytest", "aligncat.cluster.grounding", "aligncat.grounder.writers.write"])
SIZE = 4
"""The number of photos in a part. 14 photos have four parts, of which the last has two."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "PART", SIZE)


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    photos = write_photos(tmp_path_factory.mktemp("photos"))
    return [Request(Path(photo.path).name, photo.path, ("upper half", "lower half")) for photo in photos]


def write(
    requests: list[Request],
    out: Path,
    share: str | None,
    *,
    detector: LightDetector | None = None,
    name: str = "jsonl",
    **other: Any,
) -> Written:
    """Answer as `aligncat ground --out --shards` does."""
    return write_answers(
        LightGrounder(detector or LightDetector()),
        requests,
        Output(out, find_format(name, out)),
        share=None if share is None else Part.parse(share),
        **{"answering": Answering(), **other},
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of every file, also of hidden ones, and the name of every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture(params=["jsonl", "yolo"])
def form(request: pytest.FixtureRequest) -> str:
    """Return a format: a file with its settings beside it, or a folder."""
    return str(request.param)


def whole(requests: list[Request], folder: Path, name: str = "jsonl") -> dict[str, bytes]:
    """Return what one process writes."""
    written = write(requests, folder / "out", None, name=name)
    assert (written.photos, written.answers, written.by_others) == (14, 28, False)
    return tree(folder)


def process(
    requests: list[Request], out: Path, share: str | None, start: Barrier | None, others: dict[str, Any]
) -> None:
    """Answer in a process of its own. It ends with status 3 if another one is at the same share."""
    part.PART = SIZE
    if start is not None:
        start.wait(60)
    try:
        write(requests, out, share, **others)
    except LockedError as error:
        raise SystemExit(3) from error


def together(requests: list[Request], out: Path, shares: Sequence[str | None], **others: Any) -> list[int | None]:
    """Answer shares in processes that begin at the same moment; return their exit statuses."""
    start = FORKS.Barrier(len(shares))
    processes = [FORKS.Process(target=process, args=(requests, out, share, start, others)) for share in shares]
    for each in processes:
        each.start()
    for each in processes:
        each.join(120)
    return [each.exitcode for each in processes]


def test_the_last_share_writes_the_output(
    requests: list[Request], form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected, out = whole(requests, tmp_path / "one", form), tmp_path / "many" / "out"
    out.parent.mkdir()
    with caplog.at_level(logging.INFO, "aligncat.grounder"):
        first = write(requests, out, "3/3", name=form)
    assert (first.by_others, first.answers, out.exists()) == (True, 0, False)
    assert caplog.messages == [
        f"{out}: share 3/3 is done; 3 parts of other shares are missing, the last share will finish the answers"
    ]
    folder = tmp_path / "many" / "out.unfinished"
    assert sorted(path.name for path in folder.iterdir()) == ["part-000002.jsonl", "settings.json"]
    assert write(requests, out, "1/3", name=form).by_others
    last = write(requests, out, "2/3", name=form)
    assert (last.by_others, last.finished_before, last.photos, last.answers) == (False, False, 14, 28)
    assert tree(out.parent) == expected


def test_processes_that_begin_at_the_same_moment_write_the_output_of_one(
    requests: list[Request], form: str, tmp_path: Path
) -> None:
    expected, out = whole(requests, tmp_path / "one", form), tmp_path / "many" / "out"
    out.parent.mkdir()
    assert together(requests, out, ["1/4", "2/4", "3/4", "4/4"], name=form) == [0, 0, 0, 0]
    assert tree(out.parent) == expected


def test_shares_of_several_divisions_and_the_whole_at_the_same_moment_write_the_output_of_one(
    requests: list[Request], tmp_path: Path
) -> None:
    """Two processes are at every part, and one may finish while others are at theirs."""
    expected, out = whole(requests, tmp_path / "one"), tmp_path / "many" / "out"
    out.parent.mkdir()
    statuses = together(requests, out, ["1/2", "2/2", "1/2", "1/3", "2/3", "3/3", "16/16", None])
    assert set(statuses) <= {0, 3}, "only a process that finds another one at the same is refused"
    assert [*statuses[1:2], *statuses[3:7]] == [0] * 5 and 0 in (statuses[0], statuses[2])
    assert tree(out.parent) == expected


def test_a_share_that_was_killed_is_asked_for_again(requests: list[Request], tmp_path: Path) -> None:
    expected, out = whole(requests, tmp_path / "one"), tmp_path / "many" / "out"
    out.parent.mkdir()
    detector = LightDetector(at="image", trouble="killed", once=tmp_path / "happened")
    assert together(requests, out, ["2/2"], detector=detector) == [-signal.SIGKILL]
    assert (tmp_path / "happened").exists() and [*out.parent.glob(".*.lock")], "the lock is left"
    assert write(requests, out, "1/2").by_others
    assert not write(requests, out, "2/2", detector=detector).by_others
    assert tree(out.parent) == expected


def test_a_share_may_be_asked_for_again_also_after_the_end(
    requests: list[Request], form: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "many" / "out"
    out.parent.mkdir()
    for share in ("1/2", "1/2", "2/2"):
        write(requests, out, share, name=form)
    before = {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")}
    again = write(requests, out, "1/2", name=form)
    assert (again.finished_before, again.by_others, again.photos) == (True, False, 14)
    assert {path: path.stat().st_mtime_ns for path in out.parent.rglob("*")} == before
    assert tree(out.parent) == whole(requests, tmp_path / "one", form)


def test_the_same_share_twice_at_the_same_time_is_an_error(requests: list[Request], tmp_path: Path) -> None:
    with (
        path_lock(tmp_path / "out.part-1-of-2"),
        pytest.raises(LockedError, match=r"out\.part-1-of-2: another aligncat"),
    ):
        write(requests, tmp_path / "out", "1/2")
    assert not [*tmp_path.iterdir()]


def test_more_shares_than_parts_are_asked_for(
    requests: list[Request], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected, out = whole(requests, tmp_path / "one"), tmp_path / "many" / "out"
    out.parent.mkdir()
    with caplog.at_level(logging.INFO, "aligncat.grounder"):
        assert write(requests, out, "16/16").by_others
    assert caplog.messages[0] == f"{out}: there are only 4 parts, so share 16/16 has none"
    assert [write(requests, out, f"{number}/16").by_others for number in range(1, 5)] == [True, True, True, False]
    assert tree(out.parent) == expected


def test_the_whole_finishes_what_shares_have_left(requests: list[Request], tmp_path: Path) -> None:
    out = tmp_path / "many" / "out"
    out.parent.mkdir()
    write(requests, out, "2/4")
    kept = (tmp_path / "many" / "out.unfinished" / "part-000001.jsonl").stat()
    answered: list[int] = []
    assert not write(requests, out, None, advance=answered.append).by_others
    assert kept.st_nlink == 1 and sum(answered) == 14
    assert tree(out.parent) == whole(requests, tmp_path / "one")


@dataclass(frozen=True)
class Between(LightDetector):
    """A detector that does something before it looks at its first photo."""

    do: Any = None
    done: list[object] = field(default_factory=list)

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        if not self.done:
            self.done.append(None)
            self.do()
        return super().detect(images, ids)


@pytest.mark.parametrize("other", [None, "1/1"])
def test_a_share_that_is_overtaken_says_so_and_leaves_nothing(
    requests: list[Request], form: str, tmp_path: Path, other: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Another process finishes the output and removes the parts while a share is at its first one."""
    out = tmp_path / "many" / "out"
    out.parent.mkdir()
    detector = Between(do=lambda: write(requests, out, other, name=form))
    with caplog.at_level(logging.INFO, "aligncat.grounder"):
        assert write(requests, out, "2/3", detector=detector, name=form).by_others
    assert f"{out}: share 2/3 is done; another process has finished the answers" in caplog.messages
    assert tree(out.parent) == whole(requests, tmp_path / "one", form)


def test_of_two_processes_at_one_part_the_first_counts(requests: list[Request], tmp_path: Path) -> None:
    """A run may continue on another device, whose numbers differ in their last digits, so a part is never replaced."""
    out, seen = tmp_path / "out", []
    written = tmp_path / "out.unfinished" / "part-000000.jsonl"

    def first() -> None:
        write(requests, out, "1/4")
        seen.append((written.read_bytes(), written.stat().st_ino))

    write(requests, out, "1/2", detector=Between(do=first))
    assert seen == [(written.read_bytes(), written.stat().st_ino)]


def test_the_last_share_leaves_the_end_to_a_process_that_is_at_it(
    requests: list[Request], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "many" / "out"
    out.parent.mkdir()
    write(requests, out, "1/2")
    with path_lock(out), caplog.at_level(logging.INFO, "aligncat.grounder"):
        assert write(requests, out, "2/2").by_others
    assert re.search("share 2/2 is done; another process finishes the answers .*another aligncat", caplog.messages[-1])
    assert not out.exists()
    assert not write(requests, out, "1/2").by_others
    assert tree(out.parent) == whole(requests, tmp_path / "one")


def test_what_a_killed_process_left_of_a_finished_output_is_removed(requests: list[Request], tmp_path: Path) -> None:
    out = tmp_path / "many" / "out"
    out.parent.mkdir()
    write(requests, out, "1/2")
    (tmp_path / "many" / "out.unfinished").rename(tmp_path / "kept")
    for share in ("1/2", "2/2"):
        write(requests, out, share)
    (tmp_path / "kept").rename(tmp_path / "many" / "out.unfinished")
    assert write(requests, out, "2/2").finished_before
    assert tree(out.parent) == whole(requests, tmp_path / "one")


def test_a_share_waits_for_another_that_is_about_to_begin(
    requests: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, held, released = tmp_path / "out", threading.Event(), threading.Event()

    def begin() -> None:
        with path_lock(out):
            held.set()
            released.wait(60)

    thread = threading.Thread(target=begin)
    thread.start()
    held.wait(60)
    monkeypatch.setattr(unfinished, "_LOCK_SECONDS", 0.0)
    with pytest.raises(LockedError, match="out: another aligncat"):
        write(requests, out, "1/2")
    assert not (tmp_path / "out.unfinished").exists()
    monkeypatch.setattr(unfinished, "_LOCK_SECONDS", 60.0)
    monkeypatch.setattr(unfinished, "_LOCK_STEP", 0.01)
    monkeypatch.setattr(time, "sleep", lambda seconds: released.set())
    assert write(requests, out, "1/2").by_others
    thread.join()
    assert (tmp_path / "out.unfinished" / "settings.json").exists()


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("phrases", "the phrases are others, or the photos have other names"),
        ("photos", "photos was 14 and is now 13"),
        ("grounder", "it is another grounder, or was trained again"),
        ("options", "top was 1 and is now 2"),
        ("format", "format was 'jsonl' and is now 'csv'"),
    ],
)
def test_a_share_of_something_else_is_refused(
    requests: list[Request], tmp_path: Path, change: str, said: str, finished: bool
) -> None:
    out = tmp_path / "out"
    write(requests, out, None if finished else "1/2")
    before, asked, settings = tree(tmp_path), [*requests], {"answering": Answering(), "share": Part(2, 2)}
    grounder: LightGrounder = LightGrounder()
    if change == "phrases":
        asked[-1] = replace(asked[-1], phrases=("lower half",))
    elif change == "photos":
        asked.pop()
    elif change == "options":
        settings["answering"] = Answering(top=2)
    elif change == "grounder":
        grounder = Thirds()
    with pytest.raises(DataError, match=f"with other settings: {said}; choose another --out, or remove it first"):
        write_answers(
            grounder,
            asked,
            Output(out, find_format("csv" if change == "format" else "jsonl", out)),
            **settings,  # type: ignore[arg-type]
        )
    assert tree(tmp_path) == before


class Thirds(LightGrounder):
    """Another grounder."""

    def fingerprint(self) -> str:
        return "thirds"


def test_a_folder_of_something_else_is_refused(requests: list[Request], tmp_path: Path) -> None:
    (tmp_path / "out.unfinished").mkdir()
    (tmp_path / "out.unfinished" / "mine.txt").touch()
    with pytest.raises(DataError, match=r"out\.unfinished exists and is not aligncat's"):
        write(requests, tmp_path / "out", "1/2")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="out exists and is not aligncat's"):
        write(requests, tmp_path / "out", "1/2")


def test_photos_that_changed_since_another_share_are_found_at_the_end(tmp_path: Path) -> None:
    photos = write_photos(tmp_path)
    requests = [Request(Path(photo.path).name, photo.path, ("upper half",)) for photo in photos]
    write(requests, tmp_path / "out", "1/2")
    Image.new("RGB", (9, 9)).save(photos[0].path)
    with pytest.raises(DataError, match=r"00\.png: has changed since .* remove .*part-000000\.jsonl and run"):
        write(requests, tmp_path / "out", "2/2")


def test_a_bad_photo_stops_its_share_alone(requests: list[Request], tmp_path: Path) -> None:
    missing = [*requests[:-1], Request("none.png", tmp_path / "none.png", ("upper half",))]
    with pytest.raises(ImageError, match=r"none\.png: .*the same command continues"):
        write(missing, tmp_path / "out", "4/4")
    assert write(missing, tmp_path / "out", "1/4").by_others
    last = write(missing, tmp_path / "out", None, skip_bad_images=True)
    assert (last.photos, len(last.bad)) == (13, 1)


def test_workers_answer_a_share(requests: list[Request], tmp_path: Path) -> None:
    out, grounder = tmp_path / "many" / "out", LightGrounder()
    out.parent.mkdir()
    write(requests, out, "1/2")
    job = GroundingJob(partial(LightGrounder, grounder.detector), None, Answering(), False, False)  # type: ignore[arg-type]
    with open_driver(job, 2, None, deadline=900) as driver:
        last = write(requests, out, "2/2", write_parts=parts_by_workers(driver, grounder, None))
    assert last.answers == 28
    assert tree(out.parent) == whole(requests, tmp_path / "one")


def test_the_photos_of_shares_are_those_of_the_whole(requests: list[Request], monkeypatch: pytest.MonkeyPatch) -> None:
    assert [count_photos(requests, Part(number, 3)) for number in (1, 2, 3)] == [6, 4, 4]
    assert (count_photos(requests, None), count_photos(requests, Part(16, 16))) == (14, 0)
    monkeypatch.setattr(part, "PHRASES", 1)
    monkeypatch.setattr(part, "PART", 3)
    assert count_photos(requests[:3], None) == 4, "the second photo has one phrase in each of two parts"


def test_shares_need_an_output_and_exist(tmp_path: Path, requests: list[Request]) -> None:
    with pytest.raises(ConfigError, match="--shards writes a share of the answers to a file; give --out"):
        ground(str(requests[0].path), ["upper half"], shards="1/2")
    with pytest.raises(ConfigError, match="--shards 3/2: give the part and the number of parts"):
        ground(str(requests[0].path), ["upper half"], out=tmp_path / "out.jsonl", shards="3/2")
    assert not [*tmp_path.iterdir()]


def test_the_last_line_of_a_share_says_who_finishes() -> None:
    line = closing_line("ground", {"overlay": None, "shards": "3/16"}, Written(Path("out"), by_others=True))
    assert line.startswith("Share 3/16 of out is written; the last of the shares finishes the answers. Next: ")
