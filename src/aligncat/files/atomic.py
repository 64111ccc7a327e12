"""Atomic file writes, on a disk or a remote file system."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from aligncat.files.hard_links import hard_link
from aligncat.files.temporary import staging_folder, temporary_file
from aligncat.files.write_errors import named_write_errors
from aligncat.locations import Location, RemotePath


def write_atomic(path: Location, content: bytes | memoryview) -> None:
    """Write a file so that readers see either its old content or all of the new content.

    The content goes into a hidden file beside it, which is synced to disk and then renamed. Its name is unique, so two
    processes that write the same file do not mix: the last rename counts. A process that is killed leaves at most that
    hidden file behind; see `remove_left_files`. A remote file is written with one request.

    Args:
        path: the file.
        content: its new content.

    Raises:
        WriteError: the file cannot be written, for example because the disk is full. Nothing of it is left.
    """
    with named_write_errors(path, always=True):
        if isinstance(path, RemotePath):
            path.write_bytes(content)
            return
        with _written_beside(path, content) as part:
            part.replace(path)
            _sync_folder(path.parent)


@contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file to write and to read, which takes the place of `path` at the end of the block, as a whole.

    If the block raises, nothing of it is left; see `write_atomic`.

    Raises:
        WriteError: the file cannot be written, for example because the disk is full.
    """
    with named_write_errors(path, always=True):
        with _file_beside(path) as (part, file):
            yield file
            _sync_file(file)
            file.close()
            part.replace(path)
        _sync_folder(path.parent)


def create_atomic(path: Location, content: bytes | memoryview) -> bool:
    """Write a file as `write_atomic` does, but only if it is not there. Of several processes, the first one writes it.

    A file system without hard links cannot decide this in one step; there, the last of two writers at the same moment
    counts.

    Args:
        path: the file.
        content: its content.

    Returns:
        Whether the file is new.

    Raises:
        WriteError: the file cannot be written, for example because the disk is full. Nothing of it is left.
    """
    with named_write_errors(path, always=True):
        if isinstance(path, RemotePath):
            return path.create(content)
        if path.exists():
            return False
        with _written_beside(path, content) as part:
            try:
                linked = hard_link(part, path)
            except FileExistsError:
                return False
            if not linked:
                part.replace(path)
            _sync_folder(path.parent)
        return True


@contextmanager
def _written_beside(path: Path, content: bytes | memoryview) -> Iterator[Path]:
    """Write a hidden file beside a path, and yield it; it is removed if the block has not renamed it."""
    with _file_beside(path) as (part, file):
        file.write(content)
        _sync_file(file)
        file.close()
        yield part


@contextmanager
def _file_beside(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Create a hidden file beside a path; it is removed if the block has not renamed it."""
    part = temporary_file(path.parent)
    try:
        with part.open("x+b") as file:
            yield part, file
    finally:
        with suppress(OSError):
            part.unlink()


def _sync_file(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def write_files_atomic(folder: Path, write: Callable[[Path], object]) -> None:
    """Write files with a function that cannot write atomically, such as one of another library.

    Args:
        folder: the folder of the files. It is created.
        write: writes the files into the folder that it is given, which is a temporary one.

    Raises:
        WriteError: a file cannot be written.
    """
    with named_write_errors(folder), staging_folder(folder) as staging:
        write(staging)
        folder.mkdir(exist_ok=True)
        for path in sorted(staging.iterdir()):
            write_atomic(folder / path.name, path.read_bytes())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder, and a rename needs no sync there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
