"""Atomic file writes."""

from __future__ import annotations

import os
from pathlib import Path

PART_SUFFIX = ".part"


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that readers see either its old content or all of the new content.

    The content goes into a `.part` file beside it, which is synced to disk and then renamed. A process that is killed
    leaves at most that `.part` file behind.

    Args:
        path: the file.
        content: its new content.

    Raises:
        OSError: the file cannot be written, for example because the disk is full. The `.part` file is removed.
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
    """Remove the `.part` files that killed processes left in a folder."""
    for part in folder.glob(f"*{PART_SUFFIX}"):
        part.unlink()


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and a rename needs no sync there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
