"""Temporary files and folders: their names say which process made them, so that those of dead processes can go."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from aligncat.files.owner import PATTERN, Owner
from aligncat.locations import Location, RemotePath

PART_SUFFIX = ".part"
LOCK_SUFFIX = ".lock"
# A temporary file is written in seconds. One of another machine that is older than this belongs to a dead process. The
# clocks of the two machines may differ.
_FOREIGN_SECONDS = 900.0
_LONGEST = 100  # bytes of a folder's name inside a hidden name; most file systems allow 255 bytes
_OURS = rf"-(?P<owner>{PATTERN})-[0-9a-f]{{8}}"
_FILE = re.compile(rf"\.aligncat{_OURS}{re.escape(PART_SUFFIX)}", re.ASCII)
_FOLDER = re.compile(rf"\.(unfinished|old){_OURS}\Z", re.ASCII)
LOCK_NAME = re.compile(rf"\..*{re.escape(LOCK_SUFFIX)}(-[0-9a-f]{{8}})?", re.DOTALL)


def temporary_file(folder: Path) -> Path:
    """Return a path in a folder for a new temporary file that no other process uses."""
    return folder / f".aligncat-{_unique()}{PART_SUFFIX}"


def temporary_sibling(path: Path, state: str = "unfinished") -> Path:
    """Return a hidden path beside `path`, for the folder that will replace it ("unfinished") or that it was ("old")."""
    return path.with_name(f"{hidden_name(path)}.{state}-{_unique()}")


def hidden_name(path: Path) -> str:
    """Return the start of the hidden names that belong to a path: a dot and its name, shortened if it is long."""
    name = os.fsencode(path.name)
    if len(name) <= _LONGEST:
        return f".{path.name}"
    return f".{name[:_LONGEST].decode(errors='ignore')}~{hashlib.sha256(name).hexdigest()[:8]}"


def is_temporary(path: Path) -> bool:
    """Return whether a file or folder is a temporary one of aligncat's or a lock, judged by its name."""
    name = path.name
    return name.endswith(PART_SUFFIX) or bool(LOCK_NAME.fullmatch(name) or _FOLDER.search(name))


def is_empty(folder: Location) -> bool:
    """Return whether a folder holds no file but locks and temporary files."""
    if isinstance(folder, RemotePath):
        return not folder.sizes()
    return all(is_temporary(path) for path in folder.iterdir())


@contextmanager
def staging_folder(path: Path) -> Iterator[Path]:
    """Create a hidden folder beside `path`, and remove it with its files at the end of the block."""
    staging = temporary_sibling(path)
    try:
        staging.mkdir(parents=True)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_left_files(folder: Path) -> None:
    """Remove the temporary files and folders that dead processes left in a folder, not in its subfolders.

    A temporary file of another machine is removed once it is old; its folders stay (see `remove_left_siblings`). What
    belongs to living processes stays.
    """
    for entry in _entries(folder):
        found = _FILE.fullmatch(entry.name) or _FOLDER.search(entry.name)
        owner = None if found is None else Owner.parse(found["owner"])
        if owner is None:
            continue
        alive = owner.is_alive()
        with suppress(OSError):  # another process may remove it first
            if entry.is_dir(follow_symlinks=False):
                if alive is False:
                    shutil.rmtree(entry.path, ignore_errors=True)
            elif alive is False or (alive is None and time.time() - entry.stat().st_mtime > _FOREIGN_SECONDS):
                Path(entry.path).unlink()


def remove_left_siblings(path: Path) -> None:
    """Remove the hidden folders beside `path` that dead processes left.

    Call it only while holding the lock of `path`: then no other machine is writing one.
    """
    start = hidden_name(path)
    for entry in _entries(path.parent):
        found = _FOLDER.fullmatch(entry.name, len(start)) if entry.name.startswith(start) else None
        owner = None if found is None else Owner.parse(found["owner"])
        if owner is not None and not owner.is_alive():
            shutil.rmtree(entry.path, ignore_errors=True)


def _unique() -> str:
    return f"{Owner.current()}-{secrets.token_hex(4)}"


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # it is missing or cannot be listed
        return []
