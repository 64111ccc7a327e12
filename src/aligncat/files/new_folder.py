"""A dataset's folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aligncat.errors import DataError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when all is written, and is gone when that fails.

    Args:
        out: its name; it must not exist, or be an empty folder.

    Raises:
        DataError: it holds something already, or cannot be written, as on a full disk.
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
        raise DataError(f"{out}: cannot be written ({error}); make room, or choose another folder") from error
    finally:  # also on Ctrl-C: half a data set is of no use, and its name would not tell
        shutil.rmtree(unfinished, ignore_errors=True)
