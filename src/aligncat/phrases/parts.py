"""The parts of a dataset of pseudo-phrases, which are kept beside it until all are there: OUT.unfinished.

A part has the phrases of some images and is written as a whole, so that it may be made by any process and at any time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aligncat.errors import DataError
from aligncat.files.atomic import create_atomic, write_atomic
from aligncat.files.differences import differences
from aligncat.files.documents import MAX_ANNOTATION_BYTES, parse_json, read_json, read_text
from aligncat.files.fields import as_mapping
from aligncat.files.temporary import is_empty, remove_left_files
from aligncat.files.write_errors import named_write_errors
from aligncat.phrases.grammar import Phrase
from aligncat.phrases.writing import Described
from aligncat.types import JSON

SETTINGS = "settings.json"


@dataclass(frozen=True)
class PhraseParts:
    """The folder of the parts. It can be sent to other processes.

    Attributes:
        out: the folder of the dataset, absolute: "." has no name, and is another folder once the dataset is there.
        settings: what decides the phrases.
    """

    out: Path
    settings: Mapping[str, JSON]

    @property
    def folder(self) -> Path:
        """OUT.unfinished."""
        return self.out.with_name(f"{self.out.name}.unfinished")

    def begin(self) -> None:
        """Create the folder, or check that what is in it was made with these settings. Several processes may do so.

        Raises:
            DataError: it was made with others, or is not aligncat's.
        """
        path = self.folder / SETTINGS
        remove_left_files(self.folder)  # of processes that were killed
        if not path.exists():
            strange = self.folder.exists() and not _has_nothing(self.folder)
            if strange and not path.exists():  # another process may have begun just now
                raise DataError(f"{self.folder} exists and is not aligncat's; choose another --out, or remove it first")
            with named_write_errors(self.folder, always=True):
                self.folder.mkdir(parents=True, exist_ok=True)
            if create_atomic(path, self._settings_bytes()):
                return
        found = as_mapping(read_json(path), str(path))
        if (different := next(differences(found, self.settings), None)) is not None:
            raise DataError(
                f"{self.folder} has phrases that were made with other settings: {different.path} was "
                f"{different.first!r} and is now {different.second!r}; choose another --out, or remove it first"
            )

    def missing(self, numbers: Iterable[int]) -> list[int]:
        """Return those of some parts that are not there."""
        return [number for number in numbers if not self._path(number).exists()]

    def write(self, number: int, found: Sequence[Described], left_out: Mapping[str, str]) -> None:
        """Write a part.

        Args:
            number: its number, from 0.
            found: its described objects.
            left_out: image id -> why the image has no phrase.

        Raises:
            WriteError: the disk is full or read-only.
        """
        text = json.dumps({"objects": [asdict(each) for each in found], "left_out": left_out}, ensure_ascii=False)
        write_atomic(self._path(number), f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode())

    def read(self, number: int) -> tuple[list[Described], dict[str, str]]:
        """Return what `write` was given.

        Raises:
            DataError: the part is missing or damaged.
        """
        path = self._path(number)
        digest, _, text = read_text(path, limit=MAX_ANNOTATION_BYTES).partition("\n")
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise DataError(f"{path}: damaged; remove it and run the same command again")
        values: Any = parse_json(text, str(path))
        return [_described(**each) for each in values["objects"]], values["left_out"]

    def remove(self) -> None:
        """Remove the folder, the settings last: they tell that it is aligncat's."""
        for path in self.folder.glob("part-*.json"):
            path.unlink(missing_ok=True)
        (self.folder / SETTINGS).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)  # of several processes, one is the first

    def remove_left(self) -> None:
        """Remove the folder if a process that was killed left it behind after it had finished this dataset."""
        path = self.folder / SETTINGS
        if path.read_bytes() == self._settings_bytes() if path.is_file() else _has_nothing(self.folder):
            self.remove()

    def _settings_bytes(self) -> bytes:
        return json.dumps(self.settings, indent=2).encode()

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.json"


def _has_nothing(folder: Path) -> bool:
    """Return whether there is such a folder, and it holds nothing but locks and temporary files."""
    return folder.is_dir() and is_empty(folder)


def _described(*, phrases: Sequence[Mapping[str, Any]], **values: str) -> Described:
    made = (Phrase(each["text"], tuple(each["needed"]), tuple(each["redundant"])) for each in phrases)
    return Described(**values, phrases=tuple(made))
