"""Answer phrases on many photos and write a file or a folder of answers, continuing where a killed run ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from aligncat.errors import ConfigError
from aligncat.files.atomic import write_atomic
from aligncat.files.locks import path_lock
from aligncat.files.temporary import remove_left_files
from aligncat.files.writable import check_writable
from aligncat.files.write_errors import named_write_errors
from aligncat.grounder.candidate_grounder import CandidateGrounder
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.request import Request, check_names
from aligncat.grounder.writers.answer_set import AnswerSet, Classes, PhotoRecord
from aligncat.grounder.writers.formats import FORMATS, AnswerFormat
from aligncat.grounder.writers.part import PartWriter
from aligncat.grounder.writers.polygons import check_polygons
from aligncat.grounder.writers.unfinished import SETTINGS, Unfinished

if TYPE_CHECKING:
    from aligncat.store.by_content import StoredPhotos

PART = 64
"""The number of photos in a part. A run that is killed loses at most two parts."""
PHRASES = 256
"""The most phrases that are answered at once; the photo is not read again for more."""
LOCAL_FILES = "/data/local-files/?d="
"""The beginning of the address of a photo in Label Studio's local storage."""

WriteParts: TypeAlias = "Callable[[Sequence[int], Sequence[Sequence[Request]], Unfinished], Iterator[int]]"
"""Writes parts: it is given the numbers of those that are missing, all parts, and their folder; it yields the
numbers, in any order, as parts are done."""


class NamedGrounder(CandidateGrounder, Protocol):
    """A grounder that knows its categories and can tell itself from others."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the detector's categories, by class index."""

    def fingerprint(self) -> str:
        """Return a hash of everything that decides its answers."""


@dataclass(frozen=True, slots=True)
class Output:
    """What to write.

    Attributes:
        path: the file, or the folder.
        format: its format.
        classes: what is a class in formats that have classes.
        image_url: what Label Studio's address of a photo begins with; the photo's name follows.
        candidates: whether to write all candidates with their scores, where the format can hold them.
        polygons: whether to write masks as polygons.
    """

    path: Path
    format: AnswerFormat
    classes: Classes = "phrase"
    image_url: str = LOCAL_FILES
    candidates: bool = False
    polygons: bool = False

    @property
    def record(self) -> Path:
        """The file with the settings of the finished output: in the folder, or beside the file."""
        return self.path / SETTINGS if self.format.folder else self.path.with_name(f"{self.path.name}.{SETTINGS}")


@dataclass
class Written:
    """What a run has written.

    Attributes:
        path: the output; None if the answers were printed.
        photos: the number of photos that were answered.
        answers: the number of answers.
        doubtful: the number of answers with warnings.
        left_out: the number of answers below the thresholds.
        bad: why photos have no answers, in order.
        finished_before: whether an earlier call had written everything.
    """

    path: Path | None
    photos: int = 0
    answers: int = 0
    doubtful: int = 0
    left_out: int = 0
    bad: list[str] = field(default_factory=list)
    finished_before: bool = False


def write_answers(
    grounder: NamedGrounder,
    requests: Sequence[Request],
    output: Output,
    *,
    answering: Answering,
    store: StoredPhotos | None = None,
    skip_bad_images: bool = False,
    advance: Callable[[int], object] = lambda photos: None,
    write_parts: WriteParts | None = None,
) -> Written:
    """Answer phrases on photos and write the answers.

    The same call after a kill continues, and writes the same bytes. A finished output is not made again.

    Args:
        grounder: the grounder.
        requests: the photos with their phrases.
        output: what to write.
        answering: how phrases are answered.
        store: the candidates of photos that were extracted before. Its numbers are rounded, and its masks may have been
            made in another way, so a run does not continue with another one.
        skip_bad_images: leave out photos that cannot be read, or in which nothing is found, and report them.
        advance: called with the number of photos that are done, to report progress.
        write_parts: writes the parts, instead of this process; it then reads the store itself.

    Raises:
        ConfigError: the settings contradict each other, or the output cannot be written there.
        DataError: photos cannot name the format's files, a phrase has no words, the output exists with other settings
            or from other photos, or another process is writing it.
        DetectorError: the detector cannot be loaded, or finds nothing in a photo.
        ImageError: a photo cannot be read.
        WriteError: the disk is full or read-only.
    """
    requests = tuple(requests)
    if output.format.names is not None:
        check_names(requests, output.format.name, files=output.format.names == "files")
    if output.polygons:
        _check_polygons(output.format)
    answering.check(grounder.matcher)
    for phrases in dict.fromkeys(each.phrases for each in requests):
        grounder.check_expressions(phrases)
    check_writable(output.path.parent)
    run = _Run(grounder, requests, output, answering, store)
    with path_lock(output.path):
        bad = run.unfinished.finished(output.record, run.paths)
        if bad is not None:
            run.unfinished.remove()
            return Written(output.path, photos=len(requests) - len(bad), bad=[*bad], finished_before=True)
        run.unfinished.begin()
        run.answer(skip_bad_images, advance, write_parts)
        written = run.count()
        run.finish()
    return written


def _check_polygons(form: AnswerFormat) -> None:
    if not form.polygons:
        having = [each.name for each in FORMATS if each.polygons]
        raise ConfigError(f"--polygons is for --format {' and '.join(having)}, not for {form.name}; leave it out")
    check_polygons()


class _Run:
    """A run of `write_answers`."""

    def __init__(
        self,
        grounder: NamedGrounder,
        requests: tuple[Request, ...],
        output: Output,
        answering: Answering,
        store: StoredPhotos | None,
    ) -> None:
        self.grounder = grounder
        self.requests = requests
        self.output = output
        self.answering = answering
        self.store = store
        self.parts = list(_parts(requests))
        self.paths = {request.name: request.path for request in requests}
        self.unfinished = Unfinished(output.path, self._settings())

    def _settings(self) -> dict[str, Any]:
        """Return what decides the answers and their format. The device and its batch size only decide the rounding."""
        asked = hashlib.sha256()
        for request in self.requests:
            asked.update(json.dumps([request.name, *request.phrases]).encode() + b"\n")
        how = self.answering
        return {
            "format": self.output.format.name,
            "classes": self.output.classes,
            "image_url": self.output.image_url,
            "candidates": self.output.candidates,
            "polygons": self.output.polygons,
            "grounder": self.grounder.fingerprint(),
            "photos": len(self.requests),
            "photos_and_phrases": asked.hexdigest(),
            "several": how.several,
            "top": how.top,
            "min_match": how.thresholds.match,
            "min_probability": how.thresholds.probability,
            "store": None if self.store is None else self.store.sha256(),
        }

    def answer(
        self, skip_bad_images: bool, advance: Callable[[int], object], write_parts: WriteParts | None = None
    ) -> None:
        """Answer the parts that are missing, and check that the photos of the others are what they were."""
        missing = []
        for number, part in enumerate(self.parts):
            if self.unfinished.has_part(number):
                self.unfinished.check_unchanged(number, self.paths)
                advance(len({request.name for request in part}))
            else:
                missing.append(number)
        if write_parts is not None:
            for number in write_parts(missing, self.parts, self.unfinished):
                advance(len({request.name for request in self.parts[number]}))
            return
        candidates = self.output.candidates
        writer = PartWriter(self.grounder, self.answering, self.store, skip_bad_images, candidates, self.unfinished)
        writing: Future[None] | None = None
        with ThreadPoolExecutor(1, "aligncat write") as pool:
            for number in missing:
                answers = writer.answers(self.parts[number], advance)
                if writing is not None:
                    writing.result()
                writing = pool.submit(writer.write, number, self.parts[number], answers)
            if writing is not None:
                writing.result()

    def records(self) -> Iterator[PhotoRecord]:
        """Yield the records of all parts, in order."""
        for number in range(len(self.parts)):
            for record, _ in self.unfinished.read_part(number):
                yield record

    def count(self) -> Written:
        """Count the answers."""
        written, before = Written(self.output.path), None
        asked = {request.name: len(request.phrases) for request in self.requests}
        for record in self.records():
            written.answers += len(record.groundings)
            written.doubtful += sum(bool(each.warnings) for each in record.groundings)
            if record.name != before:
                written.photos += record.error is None
                written.left_out += asked[record.name] if record.error is None else 0
                written.bad += [] if record.error is None else [record.error]
            before = record.name
        written.left_out -= written.answers
        return written

    def finish(self) -> None:
        """Write the output from the parts, and remove them."""
        answers = AnswerSet(
            self.requests,
            tuple(self.grounder.labels),
            self.output.classes,
            self.output.image_url,
            self.output.candidates,
            self.output.polygons,
            self.records,
        )
        out, made = self.output.path, self.unfinished.folder / "output"
        record = self.unfinished.record_bytes(len(self.parts))
        with named_write_errors(out):
            if self.output.format.folder:
                made.mkdir(exist_ok=True)
                for folder in (made, *(path for path in made.rglob("*") if path.is_dir())):
                    remove_left_files(folder)  # of a run that was killed
            self.output.format.write(answers, made)
            if self.output.format.folder:
                write_atomic(made / SETTINGS, record)
                if out.exists():  # it is an empty folder
                    out.rmdir()
            else:
                write_atomic(self.output.record, record)
            made.rename(out)
        self.unfinished.remove()


def _parts(requests: Sequence[Request]) -> Iterator[list[Request]]:
    """Yield the requests in parts, and those with more phrases than PHRASES as several requests."""
    part: list[Request] = []
    for request in requests:
        for start in range(0, len(request.phrases), PHRASES):
            part.append(Request(request.name, request.path, request.phrases[start : start + PHRASES]))
            if len(part) == PART:
                yield part
                part = []
    if part:
        yield part
