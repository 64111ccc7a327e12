"""The photos that a command line names: files, folders and patterns such as photos/*.jpg."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from PIL import Image

from aligncat.datasets.photos import photos_in, remote_photos
from aligncat.errors import DataError, ImageError
from aligncat.files.images import FORMATS, open_header
from aligncat.locations import Location, RemotePath

TABLES = (".csv", ".jsonl", ".parquet")
"""The suffixes of tables of photos and phrases."""


def named_photos(given: Sequence[Location], *, skip_bad_images: bool = False) -> list[tuple[str, Location]]:
    """Return the name and the file of each photo that is given, in order, each file once.

    The name is the path below the folder that was given. Of several files and folders, it is the path below the folder
    that has them all, so that two photos never have the same name.

    Args:
        given: files and folders, all on a disk or all remote; on a disk also patterns.
        skip_bad_images: leave out files of a folder whose names are not UTF-8, instead of stopping.

    Raises:
        DataError: a folder has no photo, a pattern matches none, a name is not UTF-8, or some photos are on a disk and
            others remote.
    """
    remote = [each for each in given if isinstance(each, RemotePath)]
    if remote:
        return [*_named_remote(given, remote)]
    return [*_named_local([each for each in given if isinstance(each, Path)], skip_bad_images)]


def _named_local(given: Sequence[Path], skip_bad_images: bool) -> list[tuple[str, Path]]:
    if len(given) == 1 and given[0].is_dir():
        return [(each.id, each.path) for each in photos_in(given[0], skip_bad_names=skip_bad_images)]
    paths = [path for each in given for path in _photos(each, skip_bad_images)]
    given_as: dict[Path, Path] = {}
    for path in paths:
        given_as.setdefault(Path(os.path.abspath(path)), path)  # noqa: PTH100 - links keep their names
    root = os.path.commonpath([path.parent for path in given_as])
    return [(_utf8(absolute.relative_to(root)), path) for absolute, path in given_as.items()]


def _named_remote(given: Sequence[Location], remote: Sequence[RemotePath]) -> list[tuple[str, RemotePath]]:
    systems = {each.url.partition("://")[0] for each in remote}
    if len(remote) < len(given) or len(systems) > 1:
        raise DataError(
            f"{given[0]} and {given[-1]} are not on the same file system, so answers have no common names for them; "
            "ground them separately, or list them in a table"
        )
    try:
        if len(remote) == 1 and remote[0].is_dir():
            return remote_photos(remote[0])
        found = [path for each in remote for _, path in (remote_photos(each) if each.is_dir() else [("", each)])]
    except OSError as error:
        raise DataError(
            f"{remote[0]}: cannot be looked at ({error.strerror}); see whether its server can be reached and you may "
            "read it, and run the same command again"
        ) from error
    parts = [url.split("/") for url in dict.fromkeys(path.url for path in found)]
    common = sum(
        1 for _ in takewhile(lambda same: len({*same}) == 1, zip(*(each[:-1] for each in parts), strict=False))
    )
    return [("/".join(each[common:]), RemotePath("/".join(each))) for each in parts]


def is_pattern(word: str | Path) -> bool:
    """Return whether a word is a pattern for files, and not the name of one."""
    return glob.has_magic(str(word)) and not Path(word).exists()


def is_image(word: str) -> bool:
    """Return whether a word of the command line means photos: an image's suffix, or the path of an image."""
    path = Path(word)
    if path.suffix.lower() in {*Image.registered_extensions(), ".heic", ".heif"}:
        return True
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file, open_header(file, word):
            return True
    except (ImageError, OSError, ValueError):  # ValueError: the word contains a null character
        return False


def _photos(given: Path, skip_bad_images: bool) -> list[Path]:
    if given.is_dir():
        return [each.path for each in photos_in(given, skip_bad_names=skip_bad_images)]
    if not is_pattern(given):
        return [given]
    suffixes = {end for end, name in Image.registered_extensions().items() if name in FORMATS}
    matching = sorted(glob.glob(str(given), recursive=True))  # noqa: PTH207 - the pattern may be absolute
    found = [Path(each) for each in matching if Path(each).suffix.lower() in suffixes and Path(each).is_file()]
    if not found:
        others = f"; it matches {len(matching)} other files and folders, such as {matching[0]}" if matching else ""
        raise DataError(f"{given}: no photo matches this pattern{others}; check the folder and the suffix")
    return found


def _utf8(path: Path) -> str:
    try:
        path.as_posix().encode()
    except UnicodeEncodeError as error:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise DataError(f"{shown}: the name is not UTF-8, so answers cannot name the photo; rename it") from error
    return path.as_posix()
