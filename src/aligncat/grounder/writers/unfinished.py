"""The folder beside an output in which a run keeps its answers until all are there: OUT.unfinished.

It has settings.json, and one file for each part of the run, written as a whole, so that any process may write it at any
time. A run that was killed goes on with those that are missing. OUT itself appears when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from aligncat.errors import DataError, LockedError
from aligncat.files.atomic import create_atomic, write_atomic
from aligncat.files.differences import differences
from aligncat.files.documents import MAX_ANNOTATION_BYTES, parse_json, read_json, read_text
from aligncat.files.fields import as_mapping, required_list
from aligncat.files.hashes import file_sha256
from aligncat.files.locks import STALE_SECONDS, path_lock
from aligncat.files.temporary import is_empty, remove_left_files, temporary_sibling
from aligncat.files.write_errors import named_write_errors
from aligncat.grounder.ground_many import PhotoAnswer
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.writers.answer_set import PhotoRecord, json_line
from aligncat.grounder.writers.jsonl import kept
from aligncat.locations import Location, RemotePath
from aligncat.store.sources import Stamp, can_be_read, is_of_photo

SETTINGS = "settings.json"
_CONTENTS, _BAD_PHOTOS = "photo_contents", "bad_photos"  # keys of the settings of a finished output
_CHANGED = {
    "photos_and_phrases": "the phrases are others, or the photos have other names",
    "grounder": "it is another grounder, or was trained again",
}
"""What is said of settings whose values are hashes."""
# How long a share waits for the lock of the output, which another one holds for a moment when it creates the folder, or
# had when it was killed.
_LOCK_SECONDS, _LOCK_STEP = STALE_SECONDS + 30.0, 0.2


class Unfinished:
    """The unfinished answers of an output.

    Args:
        out: the output.
        settings: what decides the answers and their format, as JSON values.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.unfinished")
        self._settings = dict(settings)

    def finished(self, record: Path, paths: Mapping[str, Location]) -> tuple[str, ...] | None:
        """Return why photos have no answers in the output; None if the output is not there.

        Args:
            record: the file with the settings of the finished output.
            paths: the file of each photo, by name.

        Raises:
            DataError: the output exists, and aligncat did not make it, or not with these settings and photos.
        """
        if not self.has_output():
            return None
        if not record.exists():
            raise DataError(f"{self.out} exists and is not aligncat's; choose another --out, or remove it first")
        made = self._check(record, f"{self.out} exists and was made with other settings")
        if made[_CONTENTS] != _contents({name: _sha256(path) for name, path in paths.items()}):
            raise DataError(
                f"{self.out} exists and was made from other photos of the same names, or photos have changed since; "
                "choose another --out, or remove it first"
            )
        return tuple(map(str, required_list(made, _BAD_PHOTOS, str(record))))

    def has_output(self) -> bool:
        """Return whether there is something in the place of the output. If it is ours, it is complete."""
        return self.out.exists() and not (self.out.is_dir() and not any(self.out.iterdir()))

    def has_begun(self) -> bool:
        """Return whether the folder is there.

        Raises:
            DataError: what is in it was made with other settings.
        """
        path = self.folder / SETTINGS
        if path.exists():
            self._check(path, f"{self.folder} has answers that were made with other settings")
            return True
        return False

    def join(self) -> bool:
        """Create the folder if it is not there, as one of several processes that may do so at the same time.

        Returns:
            Whether there is anything to do: False if another process has finished the output.

        Raises:
            DataError: the folder was made with other settings, is not aligncat's, or another process holds the lock of
                the output for long without creating the folder.
        """
        until = time.monotonic() + _LOCK_SECONDS
        while not self.has_output():
            if self.has_begun():
                return True
            try:
                with path_lock(self.out):  # under which the folder is removed too
                    if not self.has_output():
                        self.begin()
            except LockedError:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOCK_STEP)
        return False

    def begin(self) -> None:
        """Create the folder, or check that what is in it was made with these settings; hold the lock of the output.

        Raises:
            DataError: it was made with others, or is not aligncat's.
        """
        if self.has_begun():
            return
        path = self.folder / SETTINGS
        remove_left_files(self.folder)  # a run was killed before it had written the settings
        if self.folder.exists() and not (self.folder.is_dir() and is_empty(self.folder)):
            raise DataError(f"{self.folder} exists and is not aligncat's; choose another --out, or remove it first")
        with named_write_errors(self.folder, always=True):
            self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, self.settings_bytes())

    def settings_bytes(self) -> bytes:
        """Return the content of a file with the settings."""
        return _json(self._settings)

    def record_bytes(self, parts: int) -> bytes:
        """Return the content of the file beside the finished output: the settings, and what the photos were."""
        contents: dict[str, str | None] = {}
        bad: dict[str, str] = {}
        for number in range(parts):
            for record, stamp in self.read_part(number):
                contents[record.name] = None if stamp is None else stamp.sha256
                if record.error is not None:
                    bad[record.name] = record.error
        return _json({**self._settings, _CONTENTS: _contents(contents), _BAD_PHOTOS: [*bad.values()]})

    def _check(self, path: Path, problem: str) -> dict[str, Any]:
        """Return the content of a file with these settings.

        Raises:
            DataError: its settings are others.
        """
        found = {_CONTENTS: None, _BAD_PHOTOS: [], **as_mapping(read_json(path), str(path))}
        settings = {name: value for name, value in found.items() if name not in (_CONTENTS, _BAD_PHOTOS)}
        if (different := next(differences(settings, self._settings), None)) is not None:
            changed = _CHANGED.get(
                different.path, f"{different.path} was {different.first!r} and is now {different.second!r}"
            )
            raise DataError(f"{problem}: {changed}; choose another --out, or remove it first")
        return found

    def has_part(self, number: int) -> bool:
        """Return whether a part is complete."""
        return self._part(number).exists()

    def add_part(self, number: int, names: Sequence[str], answers: Sequence[PhotoAnswer], *, candidates: bool) -> None:
        """Write a part. Of several processes that write the same one, the first counts.

        Args:
            number: its number, from 0.
            names: the photos' names.
            answers: their answers.
            candidates: whether to keep all candidates.
        """
        lines = [_line(name, answer, candidates) for name, answer in zip(names, answers, strict=True)]
        text = "".join(f"{line}\n" for line in lines)
        create_atomic(self._part(number), f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode())

    def read_part(self, number: int) -> Iterator[tuple[PhotoRecord, Stamp | None]]:
        """Yield the photos of a part, and what their files were.

        Raises:
            DataError: the part is missing or damaged.
        """
        path = self._part(number)
        digest, _, text = read_text(path, limit=MAX_ANNOTATION_BYTES).partition("\n")
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise DataError(f"{path}: damaged; remove it and run the same command again")
        for line in text.removesuffix("\n").split("\n"):  # not splitlines: a phrase may hold U+2028
            row: Any = parse_json(line, str(path))
            groundings = tuple(map(Grounding.from_dict, row["groundings"]))
            size = None if row["size"] is None else (row["size"][0], row["size"][1])
            stamp = None if row["stamp"] is None else Stamp(**row["stamp"])
            yield PhotoRecord(row["name"], size, groundings, row["error"]), stamp

    def check_unchanged(self, number: int, paths: Mapping[str, Location]) -> None:
        """Check that the photos of a part are what they were.

        Raises:
            DataError: one has changed, or the part is damaged.
        """
        for record, stamp in self.read_part(number):
            path = paths[record.name]
            if _has_changed(path, stamp):
                raise DataError(
                    f"{path}: has changed since its phrases were answered; remove {self._part(number)} and run the "
                    "same command again"
                )

    def remove(self) -> None:
        """Remove the folder; hold the lock of the output.

        It is renamed first, so that a process that is still at a part cannot write into what is left of it.
        """
        if not (self.folder / SETTINGS).exists():
            with suppress(OSError):  # not there, or not empty
                self.folder.rmdir()  # a run was killed before it had written the settings
            return
        old = temporary_sibling(self.out, "old")
        self.folder.rename(old)
        shutil.rmtree(old, ignore_errors=True)

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.jsonl"


def _line(name: str, answer: PhotoAnswer, candidates: bool) -> str:
    stamp = answer.stamp
    return json_line(
        {
            "name": name,
            "size": answer.size,
            "error": None if answer.error is None else str(answer.error),
            "stamp": None
            if stamp is None
            else {"size": stamp.size, "modified": stamp.modified, "sha256": stamp.sha256},
            "groundings": [kept(each, candidates=candidates) for each in answer.groundings],
        }
    )


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def _contents(hashes: Mapping[str, str | None]) -> str:
    """Return one hash for the content of all photos, from the SHA-256 of each by name; None if it cannot be read."""
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def _sha256(path: Location) -> str | None:
    try:
        if isinstance(path, Path) and not (path.is_file() and os.access(path, os.R_OK)):
            return None
        return file_sha256(path)
    except OSError as error:
        if isinstance(path, RemotePath) and is_of_photo(path, error):
            return None
        raise _unseen(path, error) from error


def _has_changed(path: Location, stamp: Stamp | None) -> bool:
    """Return whether a file differs from its stamp, None if it could not be read; a missing file is no other.

    Raises:
        DataError: it cannot be seen.
    """
    try:
        return can_be_read(path) if stamp is None else stamp.differs_from(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unseen(path, error) from error


def _unseen(path: Location, error: OSError) -> DataError:
    return DataError(
        f"{path}: cannot be read to see whether it has changed ({error.strerror}); see whether it can be reached, and "
        "run the same command again"
    )
