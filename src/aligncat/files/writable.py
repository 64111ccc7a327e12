"""Check that a folder can be written, before the work whose result it is for."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile

from aligncat.errors import ConfigError


def check_writable(folder: str | Path) -> None:
    """Check that files can be written into a folder, which need not exist yet. Nothing is created.

    Args:
        folder: the folder.

    Raises:
        ConfigError: a file is in its place or in that of a folder above it, or writing is not permitted there.
    """
    try:
        there = next(each for each in (Path(folder).absolute(), *Path(folder).absolute().parents) if each.exists())
        if not there.is_dir():
            raise ConfigError(f"{folder}: cannot be written, because {there} is a file; choose another folder")
        with TemporaryFile(dir=there):  # without a name on Linux, so that a killed process leaves nothing
            pass
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ConfigError(
            f"{folder}: cannot be written ({reason}); choose another folder, or change its permissions"
        ) from error
