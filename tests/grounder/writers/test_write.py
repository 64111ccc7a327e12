"""A run that writes answers: resumed after any stop, never doubled, refused where something else is."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_run import World
from PIL import Image

from aligncat.datasets.load import load_split
from aligncat.detectors.protocol import Detector
from aligncat.errors import ConfigError, DataError, ImageError, NothingFoundError, WriteError
from aligncat.files import atomic
from aligncat.files.locks import path_lock
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.requests.request import Request
from aligncat.grounder.training_free import TrainingFreeGrounder
from aligncat.grounder.writers import part
from aligncat.grounder.writers.formats import FORMATS, find_format
from aligncat.grounder.writers.output import Output, Written
from aligncat.grounder.writers.write import write_answers
from aligncat.store.by_content import StoredPhotos
from aligncat.store.reader import Store
from aligncat.types import Candidates

PHRASES = ("red person", "the dog on the left")


class Stopping:
    """A detector that is stopped before it has seen so many images."""

    def __init__(self, detector: Detector, after: int | None = None) -> None:
        self.detector = detector
        self.batch_size = 1
        self.after = after
        self.seen = 0

    def detect(self, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
        if self.seen == self.after:
            raise KeyboardInterrupt
        self.seen += len(images)
        return self.detector.detect(images, ids)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "PART", 2)


@pytest.fixture
def grounder(trained: Path) -> Iterator[Grounder]:
    found = Grounder.from_pretrained(trained)
    found._detector = Stopping(found.detector)  # type: ignore[assignment]
    yield found


@pytest.fixture(scope="module")
def requests(world: World) -> list[Request]:
    photos = [image.path for image in load_split(world.data, "train").images.values()][:7]
    return [Request(path.name, path, PHRASES) for path in photos]


def run(grounder: Grounder, requests: list[Request], out: Path, name: str | None = None, **other: Any) -> Written:
    output = {each: other.pop(each) for each in ("classes", "candidates", "polygons") if each in other}
    settings = {"answering": Answering(), **other}
    return write_answers(grounder, requests, Output(out, find_format(name, out), **output), **settings)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", [each.name for each in FORMATS])
def test_a_run_that_is_stopped_anywhere_and_run_again_writes_the_same(
    name: str, grounder: Grounder, requests: list[Request], tmp_path: Path
) -> None:
    detector: Any = grounder.detector
    run(grounder, requests, tmp_path / "whole" / "out", name)
    expected = tree(tmp_path / "whole")
    assert detector.seen == 7 and not [each for each in expected if "unfinished" in each]
    for after in (0, 3, 6):
        folder = tmp_path / str(after)
        detector.seen, detector.after = 0, after
        with pytest.raises(KeyboardInterrupt):
            run(grounder, requests, folder / "out", name)
        assert not (folder / "out").exists() and (folder / "out.unfinished").is_dir()
        detector.seen, detector.after = 0, None
        done: list[int] = []
        run(grounder, requests, folder / "out", name, advance=done.append)
        assert detector.seen == 7 - after // 2 * 2 and sum(done) == 7
        assert tree(folder) == expected


def test_a_finished_output_is_not_made_again(grounder: Grounder, requests: list[Request], tmp_path: Path) -> None:
    first = run(grounder, requests, tmp_path / "out.jsonl")
    before = tree(tmp_path)
    detector: Any = grounder.detector
    detector.after = detector.seen
    again = run(grounder, requests, tmp_path / "out.jsonl")
    assert (first.finished_before, again.finished_before) == (False, True) and tree(tmp_path) == before
    assert (first.photos, first.answers, first.bad, first.left_out) == (7, 14, [], 0)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(line["image"], line["expression"]) for line in lines] == [
        (request.name, phrase) for request in requests for phrase in PHRASES
    ]
    settings = json.loads((tmp_path / "out.jsonl.settings.json").read_text())
    assert (settings["format"], settings["photos"], settings["grounder"]) == ("jsonl", 7, grounder.fingerprint())


@pytest.mark.parametrize("name", ["jsonl", "yolo"])
@pytest.mark.parametrize("changed", ["content", "missing before", "missing now"])
def test_the_answers_of_other_photos_are_no_finished_output(
    name: str, changed: str, grounder: Grounder, requests: list[Request], tmp_path: Path
) -> None:
    photo = tmp_path / "photo.png"
    asked = [Request("photo.png", photo, PHRASES)]
    if changed != "missing before":
        photo.write_bytes(requests[0].path.read_bytes())
    run(grounder, asked, tmp_path / "out", name, skip_bad_images=True)
    assert run(grounder, asked, tmp_path / "out", name, skip_bad_images=True).finished_before
    if changed == "missing now":
        photo.unlink()
    else:
        photo.write_bytes(requests[1].path.read_bytes())
    with pytest.raises(DataError, match="was made from other photos of the same names, or photos have changed since"):
        run(grounder, asked, tmp_path / "out", name, skip_bad_images=True)


def test_phrases_and_names_may_have_any_line_separator(
    grounder: Grounder, requests: list[Request], tmp_path: Path
) -> None:
    phrase, name = "red\u2028person\x85dog\n\x1c cup", "a\u2029b.png"
    assert run(grounder, [Request(name, requests[0].path, (phrase,))], tmp_path / "out.jsonl").answers == 1
    line = json.loads((tmp_path / "out.jsonl").read_bytes())
    assert (line["image"], line["expression"]) == (name, phrase)


def test_the_training_free_grounder_writes_and_resumes(world: World, requests: list[Request], tmp_path: Path) -> None:
    free = Grounder.from_pretrained("training-free", detector=world.detector)
    assert run(free, requests, tmp_path / "out.jsonl").answers == 14
    again = Grounder.from_pretrained("training-free", detector=world.detector)
    assert run(again, requests, tmp_path / "out.jsonl").finished_before
    with pytest.raises(DataError, match="it is another grounder"):
        run(TrainingFreeGrounder(("other",), free.detector_description), requests, tmp_path / "out.jsonl")
    with pytest.raises(ConfigError, match="nothing to save"):
        free.generate_model_card()


@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "csv"}, "format was 'jsonl' and is now 'csv'"),
        ({"answering": Answering(top=2)}, "top was 1 and is now 2"),
        ({"candidates": True}, "candidates was False and is now True"),
        ({"name": "csv", "polygons": True}, "--polygons is for --format coco and yolo, not for csv"),
        ({"fewer": True}, "photos was 7 and is now 6"),
        ({"phrases": True}, "the phrases are others, or the photos have other names"),
    ],
)
def test_an_output_with_other_settings_is_refused(
    unfinished: bool,
    changes: dict[str, Any],
    said: str,
    grounder: Grounder,
    requests: list[Request],
    tmp_path: Path,
) -> None:
    detector: Any = grounder.detector
    if unfinished:
        detector.after = 3
        with pytest.raises(KeyboardInterrupt):
            run(grounder, requests, tmp_path / "out.jsonl")
    else:
        run(grounder, requests, tmp_path / "out.jsonl")
    before = tree(tmp_path)
    changes = dict(changes)
    asked = requests[:6] if changes.pop("fewer", False) else requests
    if changes.pop("phrases", False):
        asked = [*asked[:-1], Request(asked[-1].name, asked[-1].path, ("couch",))]
    with pytest.raises((DataError, ConfigError), match=said) as error:
        run(grounder, asked, tmp_path / "out.jsonl", **{"name": "jsonl", **changes})
    assert ("choose another --out" in str(error.value) or "polygons" in changes) and tree(tmp_path) == before


def test_a_run_continues_with_the_same_store_wherever_it_is_and_with_no_other(
    world: World, trained: Path, requests: list[Request], tmp_path: Path
) -> None:
    def stored(folder: Path) -> StoredPhotos:
        return StoredPhotos(Store.open(folder))

    grounder = Grounder.from_pretrained(trained)
    detector: Any = Stopping(grounder.detector)
    grounder._detector = detector
    copy = Path(shutil.copytree(world.store, tmp_path / "copy"))
    run(grounder, requests, tmp_path / "with.jsonl", store=stored(world.store))
    run(grounder, requests, tmp_path / "without.jsonl")
    again = run(grounder, requests, tmp_path / "with.jsonl", store=stored(copy))
    assert again.finished_before
    for name, store, said in (
        ("with", None, "store was '[0-9a-f]{64}' and is now None"),
        ("without", stored(copy), "store was None and is now '[0-9a-f]{64}'"),
    ):
        with pytest.raises(DataError, match=said):
            run(grounder, requests, tmp_path / f"{name}.jsonl", store=store)


def test_a_run_may_continue_on_another_device_and_with_another_batch_size(
    grounder: Grounder, requests: list[Request], tmp_path: Path
) -> None:
    detector: Any = grounder.detector
    detector.after = 3
    with pytest.raises(KeyboardInterrupt):
        run(grounder, requests, tmp_path / "out.jsonl")
    settings = json.loads((tmp_path / "out.jsonl.unfinished" / "settings.json").read_text())
    assert not {"device", "batch_size"} & set(settings)
    detector.after, detector.batch_size = None, 4
    assert run(grounder, requests, tmp_path / "out.jsonl").answers == 14


@pytest.mark.parametrize("name", ["jsonl", "yolo"])
def test_what_is_not_ours_is_never_replaced(
    name: str, grounder: Grounder, requests: list[Request], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for path in (out, tmp_path / "out.unfinished"):
        path.mkdir()
        (path / "thesis.txt").write_text("mine")
        with pytest.raises(DataError, match=f"{path} exists and is not aligncat's"):
            run(grounder, requests, out, name)
        assert [each.name for each in path.iterdir()] == ["thesis.txt"]
        (path / "thesis.txt").unlink()
        path.rmdir()
    out.write_text("mine")
    with pytest.raises(DataError, match="not aligncat's"):
        run(grounder, requests, out, name)
    out.unlink()
    out.mkdir()  # an empty folder may be filled
    if name == "yolo":
        assert run(grounder, requests, out, name).photos == 7


def test_two_runs_do_not_write_one_output(grounder: Grounder, requests: list[Request], tmp_path: Path) -> None:
    with path_lock(tmp_path / "out.csv"), pytest.raises(DataError, match="another aligncat"):
        run(grounder, requests, tmp_path / "out.csv")


class TestBadPhotos:
    @pytest.fixture
    def mixed(self, requests: list[Request], tmp_path: Path) -> list[Request]:
        """Seven photos, of which the fourth is cut off."""
        copies = []
        for number, request in enumerate(requests):
            copy = tmp_path / "photos" / request.name
            copy.parent.mkdir(exist_ok=True)
            content = request.path.read_bytes()
            copy.write_bytes(content[:90] if number == 3 else content)
            copies.append(Request(request.name, copy, PHRASES))
        return copies

    def test_a_truncated_photo_stops_the_run_and_the_same_command_goes_on(
        self, grounder: Grounder, mixed: list[Request], requests: list[Request], tmp_path: Path
    ) -> None:
        with pytest.raises(ImageError, match=r"--skip_bad_images.*out\.csv\.unfinished; the same command continues"):
            run(grounder, mixed, tmp_path / "out.csv")
        mixed[3].path.write_bytes(requests[3].path.read_bytes())
        detector: Any = grounder.detector
        detector.seen = 0
        assert run(grounder, mixed, tmp_path / "out.csv").photos == 7
        assert detector.seen == 5

    def test_a_photo_in_which_nothing_is_found_stops_the_run_with_the_same_remedy(
        self, grounder: Grounder, requests: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def nothing(self: Stopping, images: Sequence[Image.Image], ids: Sequence[str]) -> list[Candidates]:
            [found] = self.detector.detect(images, ids)
            arrays = ("features", "queries", "categories", "confidences", "boxes", "masks")
            return [replace(found, **{name: getattr(found, name)[:0] for name in arrays})]

        monkeypatch.setattr(Stopping, "detect", nothing)
        said = rf"{re.escape(str(requests[0].path))}: .*found nothing.*--skip_bad_images.*the same command continues"
        with pytest.raises(NothingFoundError, match=said):
            run(grounder, requests, tmp_path / "out.csv")

    @pytest.mark.parametrize("name", [each.name for each in FORMATS])
    def test_it_is_reported_and_passed_over_where_asked(
        self, name: str, grounder: Grounder, mixed: list[Request], tmp_path: Path
    ) -> None:
        written = run(grounder, mixed, tmp_path / "out", name, skip_bad_images=True)
        assert (written.photos, written.answers, written.left_out) == (6, 12, 0)
        [reason] = written.bad
        assert str(mixed[3].path) in reason
        again = run(grounder, mixed, tmp_path / "out", name, skip_bad_images=True)
        assert (again.finished_before, again.photos, again.bad) == (True, 6, [reason])

    def test_a_missing_photo_that_is_there_on_resuming_is_not_passed_over(
        self, grounder: Grounder, mixed: list[Request], requests: list[Request], tmp_path: Path
    ) -> None:
        mixed[0].path.unlink()
        detector: Any = grounder.detector
        detector.after = 2
        with pytest.raises(KeyboardInterrupt):
            run(grounder, mixed, tmp_path / "out.csv", skip_bad_images=True)
        detector.after = None
        mixed[0].path.write_bytes(requests[0].path.read_bytes())
        part = tmp_path / "out.csv.unfinished" / "part-000000.jsonl"
        with pytest.raises(DataError, match=f"{mixed[0].path}: has changed .*remove {part}"):
            run(grounder, mixed, tmp_path / "out.csv", skip_bad_images=True)
        part.unlink()
        assert run(grounder, mixed, tmp_path / "out.csv", skip_bad_images=True).photos == 6

    def test_a_photo_that_changed_meanwhile_is_named(
        self, grounder: Grounder, mixed: list[Request], tmp_path: Path
    ) -> None:
        detector: Any = grounder.detector
        detector.after = 2
        with pytest.raises((KeyboardInterrupt, ImageError)):
            run(grounder, mixed, tmp_path / "out.csv")
        detector.after = None
        mixed[1].path.touch()  # the time alone is no change
        Image.new("RGB", (30, 30), "red").save(mixed[0].path)
        with pytest.raises(DataError, match=f"{mixed[0].path}: has changed since its phrases were answered"):
            run(grounder, mixed, tmp_path / "out.csv", skip_bad_images=True)


def test_a_damaged_part_is_named(grounder: Grounder, requests: list[Request], tmp_path: Path) -> None:
    detector: Any = grounder.detector
    detector.after = 5
    with pytest.raises(KeyboardInterrupt):
        run(grounder, requests, tmp_path / "out.csv")
    part = tmp_path / "out.csv.unfinished" / "part-000000.jsonl"
    part.write_bytes(part.read_bytes()[:-20])
    detector.after = None
    with pytest.raises(DataError, match=f"{part}: damaged; remove it"):
        run(grounder, requests, tmp_path / "out.csv")
    part.unlink()
    assert run(grounder, requests, tmp_path / "out.csv").answers == 14


def test_a_full_disk_is_an_error_after_which_the_run_goes_on(
    grounder: Grounder, requests: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    count = 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(WriteError, match="free some disk space, then run the same command again"):
        run(grounder, requests, tmp_path / "out.csv")
    monkeypatch.undo()
    monkeypatch.setattr(part, "PART", 2)
    run(grounder, requests, tmp_path / "whole.csv")
    run(grounder, requests, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_more_phrases_than_are_answered_at_once_are_all_answered(
    grounder: Grounder, requests: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "PHRASES", 3)
    many = tuple(f"dog {number}" for number in range(8))
    asked = [Request(each.name, each.path, many) for each in requests[:2]]
    written = run(grounder, asked, tmp_path / "out.json", "coco")
    assert (written.photos, written.answers) == (2, 16)
    document = json.loads((tmp_path / "out.json").read_text())
    assert [each["expression"] for each in document["annotations"]] == [*many, *many]
    assert len(document["images"]) == 2 and len(document["categories"]) == 8


def test_polygons_are_written_and_belong_to_the_settings(
    grounder: Grounder, requests: list[Request], tmp_path: Path
) -> None:
    run(grounder, requests, tmp_path / "out.json", "coco", polygons=True)
    annotations = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert len(annotations) == 14
    assert all(isinstance(each["segmentation"], list) and len(each["segmentation"][0]) >= 6 for each in annotations)
    with pytest.raises(DataError, match="polygons was True and is now False"):
        run(grounder, requests, tmp_path / "out.json", "coco")


def test_what_is_wrong_is_known_before_the_detector_runs(
    grounder: Grounder, requests: list[Request], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    twins = [Request("1.jpg", requests[0].path, PHRASES), Request("1.png", requests[1].path, PHRASES)]
    empty = [*requests, Request("x.jpg", requests[0].path, ("...",))]
    for asked, out, error, said in (
        (twins, tmp_path / "out", DataError, "1.jpg and 1.png would both have the file 1"),
        (empty, tmp_path / "out", DataError, "no words"),
        (requests, tmp_path / "file" / "out", ConfigError, "is a file"),
    ):
        with pytest.raises(error, match=said):
            run(grounder, asked, out, "yolo")
    detector: Any = grounder.detector
    assert detector.seen == 0 and [path.name for path in tmp_path.iterdir()] == ["file"]
