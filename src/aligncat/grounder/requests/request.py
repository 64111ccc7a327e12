"""A photo with its phrases, as it is asked for and as the answers name it."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from aligncat.errors import DataError
from aligncat.locations import Location, is_remote


@dataclass(frozen=True, slots=True)
class Request:
    """A photo and its phrases.

    Attributes:
        name: what the answers call the photo: its path below the folder that was given, or as a table has it.
        path: its file, on a disk or remote.
        phrases: its phrases, at least one.
    """

    name: str
    path: Location
    phrases: tuple[str, ...]


def check_names(requests: Sequence[Request], form: str, *, files: bool) -> None:
    """Check that the names of photos fit a format that needs paths in one folder, no two of which are the same.

    Args:
        requests: the photos.
        form: the name of the format, for messages.
        files: whether the format has a file for each photo, named after it without the suffix; otherwise it has its
            path.

    Raises:
        DataError: a name is absolute, leaves its folder, or is that of another photo too.
    """
    what = "names a file after each photo" if files else "names photos by their paths in one folder"
    seen: dict[str, str] = {}
    for request in requests:
        path = PurePosixPath(posixpath.normpath(request.name))
        is_url = is_remote(request.name) or request.name.startswith("file://")
        if is_url or path.is_absolute() or path.parts[:1] in ((), ("..",)):
            raise DataError(
                f"{request.name}: --format {form} {what}, so the table must give the photo's path relative to its own "
                "folder and inside it; put the table above the photos, or choose --format jsonl or csv, which take any "
                "path"
            )
        key = str(path.with_suffix("") if files else path)
        other = seen.setdefault(key, request.name)
        if other != request.name:
            problem = f"would both have the file {key}" if files else f"are both the photo {key}"
            remedy = "rename one of the photos" if files else "write the path in one way"
            raise DataError(
                f"{other} and {request.name} {problem}, because --format {form} {what}; {remedy}, or choose --format "
                "jsonl or csv"
            )
