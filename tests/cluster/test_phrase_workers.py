"""Pseudo-phrases by several processes: whatever happens to them, the dataset is the one that a single process makes."""

from __future__ import annotations

import logging
import os
import pickle
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.phrase_store import Thing, write_store
from PIL import Image

from aligncat.api.phrases import make_phrases
from aligncat.cluster.job import Started
from aligncat.cluster.phrasing import PhraseJob, PhraseTask, phrases_by_workers
from aligncat.cluster.start import open_driver
from aligncat.errors import ConfigError, DataError, LockedError, WorkerError
from aligncat.files.locks import path_lock
from aligncat.phrases import making
from aligncat.phrases.make import photos_to_describe
from aligncat.phrases.making import Making
from aligncat.phrases.recipe import PhraseRecipe
from aligncat.store.part import Part
from aligncat.store.reader import Store

RECIPE = PhraseRecipe(val=0.2, colours="none")
IMAGES = {
    f"{number:02d}.jpg": [
        Thing("dog", (5, 10 + number, 30, 40)),
        Thing("dog", (70, 10, 95, 40)),
        Thing("cat", (20, 60, 80, 95)),
    ]
    for number in range(11)
} | {"empty.jpg": [], "alike.jpg": [Thing("cup", (40, 40, 50, 60)), Thing("cup", (51, 40, 61, 60))]}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "PART", 3)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("phrases") / "store", IMAGES)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in IMAGES:
        Image.new("RGB", (100, 100)).save(folder / name)
    return folder


@pytest.fixture
def alone(store: Path, images: Path, tmp_path: Path) -> dict[str, bytes]:
    """Return the files that one process makes."""
    made = make_phrases(store=store, images=images, out=tmp_path / "alone", recipe=RECIPE)
    assert sum(made.images.values()) == 11 and [*made.left_out.values()] == [1, 1]
    assert not (tmp_path / "alone.unfinished").exists()
    return files(tmp_path / "alone")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@dataclass(frozen=True)
class Troubled(PhraseJob):
    """A job of which a worker kills itself before it has written part 2: once, or always if `once` is None."""

    once: Path | None = None

    def start(self) -> Started:
        greeting, work = super().start()

        def troubled(task: PhraseTask) -> object:
            if task.number == 2 and (self.once is None or not self.once.exists()):
                if self.once is not None:
                    self.once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return work(task)

        return Started(greeting, troubled)


def run(store: Path, images: Path, out: Path, *, once: Path | None, workers: int, part: Part | None = None) -> object:
    opened = Store.open(store)
    wanted = Making.of(opened, *photos_to_describe(None, None, images), out, RECIPE)
    job = Troubled(store, wanted.parts, RECIPE, wanted.colours, once)
    with open_driver(job, workers, None, deadline=900, accelerator=False) as driver:
        return wanted.run(phrases_by_workers(driver, wanted), part)


def test_two_workers_write_the_bytes_of_one_process_also_if_one_dies(
    store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "aligncat.cluster"):
        run(store, images, tmp_path / "many", once=tmp_path / "happened", workers=2)
    assert files(tmp_path / "many") == alone
    assert not (tmp_path / "many.unfinished").exists()
    [line] = caplog.messages
    assert line == "a worker died, perhaps because memory ran out, at part 2; another one does it again"


def test_what_workers_have_made_is_kept_for_one_process(
    store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "many"
    with pytest.raises(WorkerError, match=r"at part 2, 3 times; what else is done is kept"):
        run(store, images, out, once=None, workers=1)
    parts = [*(tmp_path / "many.unfinished").glob("part-*.json")]
    assert [path.name for path in sorted(parts)] == ["part-000000.json", "part-000001.json"]
    kept = {path: path.stat().st_mtime_ns for path in parts}
    with pytest.raises(DataError, match=r"many.unfinished has phrases that were made with other settings: recipe.seed"):
        make_phrases(store=store, images=images, out=out, recipe=PhraseRecipe(val=0.2, colours="none", seed=1))
    assert make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="5/5") is None
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    make_phrases(store=store, images=images, out=out, recipe=RECIPE)
    assert files(out) == alone


def test_the_last_of_several_parts_finishes(
    store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "parts"
    with caplog.at_level(logging.INFO, "aligncat.phrases"):
        assert make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="1/2") is None
    assert "2 pieces of other parts are missing" in caplog.text
    with path_lock(tmp_path / "parts.unfinished" / "part-2-of-2"), pytest.raises(LockedError):
        make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="2/2")
    made = make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="2/2")
    assert made is not None and files(out) == alone


def test_what_a_killed_process_left_of_a_finished_dataset_is_removed(
    store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    wanted = Making.of(Store.open(store), *photos_to_describe(None, None, images), tmp_path / "alone", RECIPE)
    wanted.parts.begin()
    assert wanted.parts.folder.is_dir()
    with pytest.raises(DataError, match="not empty"):
        make_phrases(store=store, images=images, out=tmp_path / "alone", recipe=RECIPE)
    assert not wanted.parts.folder.exists() and files(tmp_path / "alone") == alone


def test_the_verb_shares_the_work(store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    make_phrases(store=store, images=images, out=tmp_path / "many", recipe=RECIPE, workers=1)
    assert files(tmp_path / "many") == alone


def test_a_damaged_part_and_strange_folders_are_errors(store: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "made"
    assert make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="1/2") is None
    part = tmp_path / "made.unfinished" / "part-000000.json"
    part.write_bytes(part.read_bytes().replace(b"dog", b"cat", 1))
    with pytest.raises(DataError, match=r"part-000000.json: damaged; remove it and run the same command again"):
        make_phrases(store=store, images=images, out=out, recipe=RECIPE)
    part.unlink()
    make_phrases(store=store, images=images, out=out, recipe=RECIPE)
    (tmp_path / "other.unfinished").mkdir()
    (tmp_path / "other.unfinished" / "mine.txt").touch()
    with pytest.raises(DataError, match=r"other.unfinished exists and is not aligncat's"):
        make_phrases(store=store, images=images, out=tmp_path / "other", recipe=RECIPE)


@pytest.mark.parametrize("shards", ["0/2", "3/2", "half"])
def test_parts_that_are_none_are_errors(store: Path, images: Path, tmp_path: Path, shards: str) -> None:
    with pytest.raises(ConfigError, match=f"--shards {shards}"):
        make_phrases(store=store, images=images, out=tmp_path / "made", recipe=RECIPE, shards=shards)


def test_tasks_are_far_too_small_for_the_store_of_ray() -> None:
    names = [f"{'folder/' * 20}{number:03d}.jpg" for number in range(128)]
    assert len(pickle.dumps(PhraseTask(7, [(name, name) for name in names]))) < 50_000


def test_the_last_part_says_that_no_image_gives_a_phrase(store: Path, images: Path, tmp_path: Path) -> None:
    nobody = PhraseRecipe(colours="none", confidence=1.0, doubtful=1.0)
    assert make_phrases(store=store, images=images, out=tmp_path / "made", recipe=nobody, shards="1/2") is None
    with pytest.raises(DataError, match=r"none of the 13 images gives a phrase .*lower --recipe.confidence"):
        make_phrases(store=store, images=images, out=tmp_path / "made", recipe=nobody, shards="2/2")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("another store", r"workers see another store, .*; give a path of the store that is the same"),
        ("another version", r"they have store \w{64}, grammar \d+, aligncat 0\.0\.1, and this process"),
    ],
)
def test_workers_that_differ_make_nothing(job: str, message: str, store: Path, images: Path, tmp_path: Path) -> None:
    """The path of the store is that of another one on the workers' machine, or they have an earlier version."""
    wanted = Making.of(Store.open(store), *photos_to_describe(None, None, images), tmp_path / "made", RECIPE)
    if job == "another store":
        other = write_store(
            tmp_path / "other", {name: things[::-1] for name, things in IMAGES.items()} | {"more.jpg": []}
        )
        differing = PhraseJob(other, wanted.parts, RECIPE, wanted.colours)
    else:
        differing = OfEarlierVersion(store, wanted.parts, RECIPE, wanted.colours)
    with (
        open_driver(differing, 1, None, deadline=900, accelerator=False) as driver,
        pytest.raises(ConfigError, match=message),
    ):
        wanted.run(phrases_by_workers(driver, wanted), None)
    assert not (tmp_path / "made").exists() and wanted.parts.missing(range(5)) == [*range(5)]


@dataclass(frozen=True)
class OfEarlierVersion(PhraseJob):
    """A job on a machine that has version 0.0.1 of aligncat."""

    def start(self) -> Started:
        greeting, work = super().start()
        return Started(re.sub(r"aligncat \S+$", "aligncat 0.0.1", str(greeting)), work)


def test_a_last_part_leaves_the_finish_to_another_that_is_at_it(
    store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "parts"
    assert make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="1/2") is None
    with path_lock(out), caplog.at_level(logging.INFO, "aligncat.phrases"):
        assert make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="2/2") is None
    assert "part 2/2 is done; another process finishes the phrases" in caplog.text
    make_phrases(store=store, images=images, out=out, recipe=RECIPE)
    assert files(out) == alone


def test_the_dataset_may_be_the_folder_of_the_command(
    store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert make_phrases(store=store, images=images, out=".", recipe=RECIPE, shards="1/2") is None
    assert (tmp_path / "here.unfinished").is_dir()
    made = make_phrases(store=store, images=images, out=".", recipe=RECIPE, shards="2/2")
    assert made is not None and made.data.path == tmp_path / "here"
    assert files(tmp_path / "here") == alone and not (tmp_path / "here.unfinished").exists()


def test_parts_stay_where_the_folder_of_the_dataset_holds_something_else(
    store: Path, images: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "parts"
    assert make_phrases(store=store, images=images, out=out, recipe=RECIPE, shards="1/2") is None
    kept = files(tmp_path / "parts.unfinished")
    out.mkdir()
    (out / "notes.txt").touch()
    with pytest.raises(DataError, match="parts exists and is not empty"):
        make_phrases(store=store, images=images, out=out, recipe=RECIPE)
    assert files(tmp_path / "parts.unfinished") == kept
    (out / "notes.txt").unlink()
    make_phrases(store=store, images=images, out=out, recipe=RECIPE)
    assert files(out) == alone
