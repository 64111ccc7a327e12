"""The formats of answers, as data. A format's module is imported when it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aligncat.errors import ConfigError
from aligncat.wording import did_you_mean

if TYPE_CHECKING:
    from aligncat.grounder.writers.answer_set import AnswerSet


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """A format of answers.

    Attributes:
        name: its name, as --format has it.
        writer: the function that writes it, as "module:function". It is called with an `AnswerSet` and the path of a
            file to create, or of a folder to fill. Called again, it continues in a folder and writes the same.
        folder: whether it is a folder of files.
        names: what needs names of photos that are paths in one folder: the "paths" that the format has, or the "files"
            that are named after the photos without their suffixes; None if any name will do.
        polygons: whether it can have masks as polygons.
        suffix: the suffix that stands for the format, if there is one.
    """

    name: str
    writer: str
    folder: bool = False
    names: Literal["paths", "files"] | None = None
    polygons: bool = False
    suffix: str | None = None

    def write(self, answers: AnswerSet, out: Path) -> None:
        """Write answers to a new file, or into a folder."""
        module, name = self.writer.split(":")
        function: Callable[[AnswerSet, Path], None] = getattr(import_module(module), name)
        function(answers, out)


_HERE = "aligncat.grounder.writers"
FORMATS = (
    AnswerFormat("jsonl", f"{_HERE}.jsonl:write_jsonl", suffix=".jsonl"),
    AnswerFormat("csv", f"{_HERE}.csv_table:write_csv", suffix=".csv"),
    AnswerFormat("coco", f"{_HERE}.coco:write_dataset", names="paths", polygons=True),
    AnswerFormat("coco-results", f"{_HERE}.coco:write_results"),
    AnswerFormat("yolo", f"{_HERE}.yolo:write_yolo", folder=True, names="files", polygons=True),
    AnswerFormat("label-studio", f"{_HERE}.label_studio:write_tasks", folder=True, names="paths"),
    AnswerFormat("overlay", f"{_HERE}.overlays:write_overlays", folder=True, names="files"),
)


def find_format(name: str | None, out: Path) -> AnswerFormat:
    """Return the format of a name, or without one the format of a file's suffix.

    Raises:
        ConfigError: the name is unknown, or the suffix stands for no format.
    """
    by_name = {each.name: each for each in FORMATS}
    if name is not None:
        if name not in by_name:
            raise ConfigError(
                f"format {name!r} is not known; use one of {', '.join(by_name)} (--format){did_you_mean(name, by_name)}"
            )
        return by_name[name]
    found = next((each for each in FORMATS if each.suffix == out.suffix.lower()), None)
    if found is None:
        raise ConfigError(f"{out}: the name does not tell the format; give --format, one of {', '.join(by_name)}")
    return found
