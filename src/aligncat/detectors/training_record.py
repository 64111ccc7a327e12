"""What a detector's folder says of its own training: the images that it saw, and what it started from.

Importing this module does not load torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from aligncat.detectors.folder import CONFIG, DetectorFolder
from aligncat.detectors.known import known_detector
from aligncat.errors import DetectorError
from aligncat.files.documents import read_text
from aligncat.files.name_lists import write_names

TRAINED_ON = "trained-on.txt"
HELD_OUT = "held-out.txt"
STARTED_FROM = "aligncat_started_from"
"""The key of config.json with the detectors whose weights the training continued, the first one first."""

STARTED_FROM_KEY = "detector_started_from"
"""The key of a grounder's provenance with the same of its detector, for its card; missing if nothing is recorded."""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """The images that a detector saw, of all its trainings with `aligncat detector train`.

    Attributes:
        images: the file names of the photos whose objects it learned.
        held_out: those of the photos that only chose the best weights.
        started_from: the names of the detectors whose training these continued, which have no such record.
    """

    images: tuple[str, ...]
    held_out: tuple[str, ...]
    started_from: tuple[str, ...]

    @classmethod
    def read(cls, name: str, *, weights_sha256: str | None = None) -> Self | None:
        """Return the record in a detector's folder; None for a detector of another origin, or one that is not here.

        Args:
            name: the detector's name: a folder.
            weights_sha256: the hash of the detector's weights. A folder that has others by now tells nothing of it.

        Raises:
            DetectorError: the folder has a record that is damaged.
        """
        known = known_detector(name)
        path = Path(name)
        if (known is not None and known.folder is not None) or not (path / CONFIG).is_file():
            return None
        folder = DetectorFolder.read(name, path)
        started_from = folder.config.get(STARTED_FROM)
        if started_from is None or weights_sha256 not in (None, folder.recorded_weights_sha256):
            return None
        if not isinstance(started_from, list) or not (path / TRAINED_ON).is_file():
            raise DetectorError(f"{path / TRAINED_ON}: the list of the images that it saw is missing; restore it")
        return cls(_names(path / TRAINED_ON), _names(path / HELD_OUT), tuple(map(str, started_from)))

    @classmethod
    def started_from_of(cls, name: str, weights_sha256: str) -> tuple[str, ...]:
        """Return the detectors whose training a detector continued, as far as its folder is here and tells.

        Args:
            name: the detector's name.
            weights_sha256: the hash of its weights.

        Raises:
            DetectorError: the folder has a record that is damaged.
        """
        record = cls.read(name, weights_sha256=weights_sha256)
        return () if record is None else record.started_from

    def write(self, folder: Path) -> None:
        """Write the two lists into a folder; `started_from` belongs into config.json."""
        write_names(folder / TRAINED_ON, self.images)
        write_names(folder / HELD_OUT, self.held_out)


def continued(name: str, weights_sha256: str, images: Sequence[str], held_out: Sequence[str]) -> TrainingRecord:
    """Return the record of a training that starts from a detector, with what that one had seen before.

    Args:
        name: the detector that the training starts from.
        weights_sha256: the hash of its weights. A copy of a shipped detector is recorded by that one's name.
        images: the file names of the photos whose objects are learned.
        held_out: those of the photos that only choose the best weights.
    """
    before = TrainingRecord.read(name)
    if before is None:
        # A folder's own name must not be taken for the detector that is known by that name.
        known = known_detector(name, weights_sha256)
        if known is not None and known.folder is not None:
            name = known.name
        elif known is None and Path(name).is_dir():
            name = f"local folder {Path(name).name}"
        return TrainingRecord(tuple(images), tuple(held_out), (name,))
    return TrainingRecord(
        tuple(dict.fromkeys((*before.images, *images))),
        tuple(dict.fromkeys((*before.held_out, *held_out))),
        before.started_from,
    )


def _names(path: Path) -> tuple[str, ...]:
    return tuple(filter(None, read_text(path).split("\n"))) if path.is_file() else ()
