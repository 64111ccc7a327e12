"""Answer phrases on many photos and write a file or a folder of answers, continuing where a killed run ended."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from aligncat.errors import AligncatError, ConfigError, LockedError
from aligncat.files.atomic import write_atomic
from aligncat.files.locks import path_lock
from aligncat.files.temporary import remove_left_files
from aligncat.files.writable import check_writable
from aligncat.files.write_errors import named_write_errors
from aligncat.grounder.candidate_grounder import CandidateGrounder
from aligncat.grounder.ground_many import Answering
from aligncat.grounder.requests.request import Request, check_names
from aligncat.grounder.writers.answer_set import AnswerSet, PhotoRecord
from aligncat.grounder.writers.formats import FORMATS, AnswerFormat
from aligncat.grounder.writers.output import Output, Written
from aligncat.grounder.writers.part import PartWriter, parts_of
from aligncat.grounder.writers.polygons import check_polygons
from aligncat.grounder.writers.unfinished import SETTINGS, Unfinished

if TYPE_CHECKING:
    from aligncat.store.by_content import StoredPhotos
    from aligncat.store.part import Part

WriteParts: TypeAlias = "Callable[[Sequence[int], Sequence[Sequence[Request]], Unfinished], Iterator[int]]"
"""Writes parts: it is given the numbers of those that are missing, all parts, and their folder; it yields the
numbers, in any order, as parts are done."""

logger = logging.getLogger(__name__)


class NamedGrounder(CandidateGrounder, Protocol):
    """A grounder that knows its categories and can tell itself from others."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the detector's categories, by class index."""

    def fingerprint(self) -> str:
        """Return a hash of everything that decides its answers."""


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
    share: Part | None = None,
) -> Written:
    """Answer phrases on photos and write the answers.

    The same call after a kill continues, and writes the same bytes. A finished output is not made again.

    Any number of shares may be answered at the same time, on machines that share the folder of the output. The last of
    them writes the output. So does the call without a share, at any time.

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
        share: which parts to write; by default all.

    Raises:
        ConfigError: the settings contradict each other, or the output cannot be written there.
        DataError: photos cannot name the format's files, a phrase has no words, the output exists with other settings
            or from other photos, or another process is writing it or the same share.
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
    run = _Run(grounder, requests, output, answering, store, skip_bad_images=skip_bad_images, write_parts=write_parts)
    return run.whole(advance) if share is None else run.share(share, advance)


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
        *,
        skip_bad_images: bool,
        write_parts: WriteParts | None,
    ) -> None:
        self.grounder = grounder
        self.requests = requests
        self.output = output
        self.answering = answering
        self.store = store
        self.skip_bad_images = skip_bad_images
        self.write_parts = write_parts
        self.parts = list(parts_of(requests))
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

    def whole(self, advance: Callable[[int], object]) -> Written:
        """Answer all parts that are missing, and write the output."""
        with path_lock(self.output.path):
            if (before := self.finished_before()) is not None:
                self.unfinished.remove()
                return before
            self.unfinished.begin()
            self.answer(range(len(self.parts)), advance)
            written = self.count()
            self.finish()
        return written

    def share(self, share: Part, advance: Callable[[int], object]) -> Written:
        """Answer those parts of a share that are missing, and write the output if no other part is missing then."""
        out, numbers = self.output.path, range(len(self.parts))
        with path_lock(out.with_name(f"{out.name}.part-{share.number}-of-{share.count}")):
            if (before := self.finished_before()) is not None:
                with suppress(LockedError), path_lock(out):
                    self.unfinished.remove()  # a process that was killed left it
                return before
            if not (own := share.of(numbers)):
                logger.info("%s: there are only %s parts, so share %s has none", out, f"{len(numbers):,}", share)
            try:
                if self.unfinished.join():
                    self.answer(own, advance)
            except AligncatError:
                if not self.unfinished.has_output():  # which is there before the parts are removed
                    raise
        missing = [number for number in numbers if not self.unfinished.has_part(number)]
        if self.unfinished.has_output():
            rest = "another process has finished the answers"
        elif missing:
            rest = f"{len(missing):,} parts of other shares are missing, the last share will finish the answers"
        else:
            try:
                return self.whole(lambda photos: None)
            except LockedError as error:
                rest = f"another process finishes the answers ({error})"
        logger.info("%s: share %s is done; %s", out, share, rest)
        return Written(out, by_others=True)

    def finished_before(self) -> Written | None:
        """Return what an earlier call has written; None if the output is not there."""
        out = self.output.path
        bad = self.unfinished.finished(self.output.record, self.paths)
        if bad is None:
            return None
        return Written(out, photos=len(self.requests) - len(bad), bad=[*bad], finished_before=True)

    def answer(self, numbers: Sequence[int], advance: Callable[[int], object]) -> None:
        """Answer those of some parts that are missing, and check that the photos of the others are what they were."""
        missing = []
        for number in numbers:
            part = self.parts[number]
            if self.unfinished.has_part(number):
                self.unfinished.check_unchanged(number, self.paths)
                advance(len({request.name for request in part}))
            else:
                missing.append(number)
        if self.write_parts is not None:
            for number in self.write_parts(missing, self.parts, self.unfinished):
                advance(len({request.name for request in self.parts[number]}))
            return
        how = (self.answering, self.store, self.skip_bad_images, self.output.candidates)
        writer = PartWriter(self.grounder, *how, self.unfinished)
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
