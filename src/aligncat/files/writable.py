"""Check that a folder can be written, before the work whose result it is for."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryFile

from aligncat.errors import ConfigError
from aligncat.locations import Location, is_remote


def check_writable(folder: str | Location) -> None:
    """Check that files can be written into a folder, which need not exist yet. Nothing is created.

    Args:
        folder: the folder; one of a remote file system is not checked.

    Raises:
        ConfigError: a file is in its place or in that of a folder above it, or writing is not permitted there.
    """
    if is_remote(folder):  # the first file says whether it can be written
        return
    try:
        absolute = Path(str(folder)).absolute()
        there = next(each for each in (absolute, *absolute.parents) if each.exists())
        if not there.is_dir():
            raise ConfigError(f"{folder}: cannot be written, because {there} is a file; choose another folder")
        with TemporaryFile(dir=there):  # without a name on Linux, so that a killed process leaves nothing
            pass
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ConfigError(
            f"{folder}: cannot be written ({reason}); choose another folder, or change its permissions"
        ) from error
