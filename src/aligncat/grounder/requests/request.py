"""A photo with its phrases, as it is asked for and as the answers name it."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aligncat.errors import DataError


@dataclass(frozen=True, slots=True)
class Request:
    """A photo and its phrases.

    Attributes:
        name: what the answers call the photo: its path below the folder that was given, or as a table has it.
        path: its file.
        phrases: its phrases, at least one.
    """

    name: str
    path: Path
    phrases: tuple[str, ...]


def check_file_names(requests: Sequence[Request], *, by_stem: bool) -> None:
    """Check that the names of photos can be the names of files of answers.

    Args:
        requests: the photos.
        by_stem: whether the files of answers are named after the photos without their suffixes.

    Raises:
        DataError: a name is absolute, leaves its folder, or is that of another photo too.
    """
    seen: dict[str, str] = {}
    for request in requests:
        path = PurePosixPath(posixpath.normpath(request.name))
        if path.is_absolute() or path.parts[:1] in ((), ("..",)):
            raise DataError(
                f"{request.name}: this format names files after the photos, so their paths must be relative and lie in "
                "the table's folder; write such paths, or choose --format jsonl or csv"
            )
        key = str(path.with_suffix("") if by_stem else path)
        other = seen.setdefault(key, request.name)
        if other != request.name:
            raise DataError(
                f"{other} and {request.name}: both would have the name {key} in this format; rename one, or choose "
                "--format jsonl or csv"
            )
