"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

PART_SUFFIX = ".part"


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file under another name, make it durable, and only then give it its name.

    Killed at any moment, this leaves the old file or the new one, and at most a `.part` beside it.

    Raises:
        OSError: it could not be written, as on a full disk; the `.part` is gone again.
    """
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def remove_parts(folder: Path) -> None:
    """Clear away what killed writers left unfinished."""
    for part in folder.glob(f"*{PART_SUFFIX}"):
        part.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and a rename needs no sync
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
