"""Folders that appear only when they are complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aligncat.errors import DataError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Create a folder under a temporary name, and rename it at the end of the block or remove it on an error.

    Args:
        out: the folder's final path. It must not exist or must be an empty folder.

    Yields:
        The folder to write into, beside `out`.

    Raises:
        DataError: `out` is not empty, or the folder cannot be written, for example because the disk is full.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} exists and is not empty; choose another folder or remove it first")
    unfinished = out.with_name(f".{out.name}.unfinished-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    except OSError as error:
        raise DataError(
            f"{out}: cannot be written ({error}); make room on the disk, or choose another folder"
        ) from error
    finally:  # also on Ctrl-C: an incomplete dataset is useless, and its name would not show that
        shutil.rmtree(unfinished, ignore_errors=True)
