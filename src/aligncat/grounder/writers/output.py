"""What a run writes, and what it has written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aligncat.grounder.writers.answer_set import Classes
from aligncat.grounder.writers.formats import AnswerFormat
from aligncat.grounder.writers.unfinished import SETTINGS

LOCAL_FILES = "/data/local-files/?d="
"""The beginning of the address of a photo in Label Studio's local storage."""


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
        by_others: whether the last step is another process's, so that nothing is counted here: of a share, if parts of
            other shares are missing, or another process finishes the output or has finished it.
    """

    path: Path | None
    photos: int = 0
    answers: int = 0
    doubtful: int = 0
    left_out: int = 0
    bad: list[str] = field(default_factory=list)
    finished_before: bool = False
    by_others: bool = False
