"""The answers that a format is written from."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

from aligncat.files.write_errors import named_write_errors
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.requests.request import Request

Classes: TypeAlias = Literal["phrase", "category"]
"""What is a class in formats that have classes: the phrase that was asked, or the detector's category of the answer."""


@dataclass(frozen=True, slots=True)
class PhotoRecord:
    """A photo with its answers, as it is kept until a format is written.

    Attributes:
        name: the photo's name.
        size: (width, height) in pixels of the photo as it is shown; None if it has no answers because of an error.
        groundings: its answers.
        error: why there are none, or None.
    """

    name: str
    size: tuple[int, int] | None
    groundings: tuple[Grounding, ...]
    error: str | None


@dataclass(frozen=True)
class AnswerSet:
    """All answers of a run.

    Attributes:
        requests: the photos in order, each once.
        labels: the detector's categories, by class index.
        classes: what is a class.
        image_url: what a labelling tool's address of a photo begins with; the photo's name follows.
        candidates: whether to write all candidates, where the format can hold them.
        polygons: whether to write masks as polygons, where the format can hold them.
        records: returns the records in the order of the photos. A photo with very many phrases has several.
        grounder: the name of the grounder that gave them, where the format can hold it; None if it has none.
    """

    requests: tuple[Request, ...]
    labels: tuple[str, ...]
    classes: Classes
    image_url: str
    candidates: bool
    polygons: bool
    records: Callable[[], Iterator[PhotoRecord]]
    grounder: str | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes: the detector's, or the phrases in the order in which they are first asked."""
        if self.classes == "category":
            return self.labels
        return tuple(dict.fromkeys(phrase for phrases in self._phrase_lists() for phrase in phrases))

    def _phrase_lists(self) -> Iterable[tuple[str, ...]]:
        return dict.fromkeys(request.phrases for request in self.requests)  # often all have the same

    def class_of(self, found: Grounding) -> str:
        """Return the name of an answer's class."""
        return found.category if self.classes == "category" else found.expression

    def photos(self) -> Iterator[PhotoRecord]:
        """Yield one record for each photo that could be read, with all its answers."""
        for _, records in groupby(self.records(), key=lambda record: record.name):
            parts = list(records)
            if parts[0].error is None:
                found = tuple(grounding for part in parts for grounding in part.groundings)
                yield PhotoRecord(parts[0].name, parts[0].size, found, None)

    def numbers(self) -> dict[str, int]:
        """Return the number of each photo by name, from 1."""
        return {request.name: number for number, request in enumerate(self.requests, start=1)}


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Create a UTF-8 text file, in which every line ends in a line feed.

    Raises:
        WriteError: it cannot be written.
    """
    with named_write_errors(path), path.open("w", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_list(file: TextIO, items: Iterable[dict[str, Any]]) -> None:
    """Write a JSON list with one item a line."""
    before = "["
    for item in items:
        file.write(f"{before}\n{json_line(item)}")
        before = ","
    file.write("[]" if before == "[" else "\n]")


def json_line(item: dict[str, Any]) -> str:
    """Return an item as JSON on one line."""
    return json.dumps(item, ensure_ascii=False, allow_nan=False)
