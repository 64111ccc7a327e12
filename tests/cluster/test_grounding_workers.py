"""Grounding over a table by several processes: the output is that of one process."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from helpers.light_detector import LightDetector
from helpers.light_grounder import LightGrounder

from aligncat.cluster.grounding import GroundingJob, parts_by_workers
from aligncat.cluster.job import Started
from aligncat.cluster.start import open_driver
from aligncat.commands.ground import ground
from aligncat.errors import ConfigError, ImageError
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.request import Request
from aligncat.grounder.requests.tables import read_table
from aligncat.grounder.writers import part
from aligncat.grounder.writers.formats import find_format
from aligncat.grounder.writers.output import Output, Written
from aligncat.grounder.writers.write import write_answers
from aligncat.store.photo import Photo


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "PART", 4)


@pytest.fixture
def requests(photos: list[Photo], tmp_path: Path) -> list[Request]:
    """Return the rows of a table: two phrases for each photo."""
    table = tmp_path / "table.csv"
    rows = [f"{photo.path},{half} half" for photo in photos for half in ("upper", "lower")]
    table.write_text("\n".join(["image,phrase", *rows]))
    return read_table(table)


def run(
    requests: list[Request], out: Path, *, detector: LightDetector | None = None, workers: int | None = None
) -> Written:
    """Answer in this process, or with workers."""
    grounder = LightGrounder(detector or LightDetector())
    output = Output(out, find_format(None, out))
    if workers is None:
        return write_answers(grounder, requests, output, answering=Answering())
    job = GroundingJob(partial(LightGrounder, grounder.detector), None, Answering(), False, False)  # type: ignore[arg-type]
    with open_driver(job, workers, None, deadline=900) as driver:
        parts = parts_by_workers(driver, grounder, None)
        return write_answers(grounder, requests, output, answering=Answering(), write_parts=parts)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_workers_write_the_answers_of_one_process_also_if_one_dies(
    requests: list[Request], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone = run(requests, tmp_path / "one" / "answers.jsonl")
    assert (alone.photos, alone.answers) == (14, 28)
    detector = LightDetector(at="image", trouble="killed", once=tmp_path / "happened")
    with caplog.at_level(logging.WARNING, "aligncat.cluster"):
        many = run(requests, tmp_path / "many" / "answers.jsonl", detector=detector, workers=2)
    assert (many.photos, many.answers) == (14, 28)
    assert files(tmp_path / "many") == files(tmp_path / "one")
    [line] = caplog.messages
    assert line.startswith("a worker died, ") and line.endswith("; another one does it again")


def test_what_workers_have_answered_is_kept_for_one_process(requests: list[Request], tmp_path: Path) -> None:
    out = tmp_path / "many" / "answers.jsonl"
    Path(requests[9].path).rename(tmp_path / "away.png")
    try:
        with pytest.raises(ImageError, match=r"09\.png: no such image file.*the same command continues"):
            run(requests, out, workers=1)
    finally:
        (tmp_path / "away.png").rename(requests[9].path)
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "many" / "answers.jsonl.unfinished").glob("part-*")}
    assert len(parts) == 2
    run(requests, out)
    run(requests, tmp_path / "one" / "answers.jsonl")
    assert files(tmp_path / "many") == files(tmp_path / "one")


@dataclass(frozen=True)
class OfAnotherMachine(GroundingJob):
    """A job on a machine that has another grounder under the same path, or another version of aligncat."""

    old: str = ""
    new: str = ""

    def start(self) -> Started:
        greeting, work = super().start()
        return Started(re.sub(self.old, self.new, str(greeting)), work)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("grounder halves", "grounder thirds", "they have grounder thirds, no store, aligncat .*has grounder halves"),
        ("no store", "store 12ab", "they have grounder halves, store 12ab, .*has grounder halves, no store"),
        (r"aligncat \S+", "aligncat 0.0.1", r"they have grounder halves, no store, aligncat 0\.0\.1, and this process"),
    ],
)
def test_workers_that_would_answer_otherwise_write_nothing(
    requests: list[Request], tmp_path: Path, old: str, new: str, said: str
) -> None:
    out = tmp_path / "answers.jsonl"
    grounder = LightGrounder(LightDetector())
    opening = partial(LightGrounder, grounder.detector)
    job = OfAnotherMachine(opening, None, Answering(), False, False, old, new)  # type: ignore[arg-type]
    with open_driver(job, 1, None, deadline=900) as driver, pytest.raises(ConfigError, match=said):
        write_answers(
            grounder,
            requests,
            Output(out, find_format(None, out)),
            answering=Answering(),
            write_parts=parts_by_workers(driver, grounder, None),
        )
    assert not [*tmp_path.rglob("part-*")]


def test_workers_need_an_output(tmp_path: Path, photos: list[Photo]) -> None:
    with pytest.raises(ConfigError, match="--workers and --ray write answers to a file; give --out"):
        ground(str(photos[0].path), ["upper half"], workers=2)
