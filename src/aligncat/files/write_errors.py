"""Errors of writing, such as a full or read-only disk, that name the file and say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aligncat.errors import WriteError
from aligncat.locations import Location

# These can only come from writing. Other errors are of writing if they name a file below the path that is written.
_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextmanager
def named_write_errors(path: Location, *, always: bool = False) -> Iterator[None]:
    """Turn an OSError of writing inside the block into a WriteError that names the file.

    Args:
        path: the file or folder that the block writes. It is named if the error itself names no file, as that of a full
            disk does.
        always: the block only writes `path`, so that every OSError is about it.

    Raises:
        WriteError: the file cannot be written.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        below = isinstance(path, Path) and error.filename is not None and _is_below(error.filename, path)
        if not (always or below or error.errno in _OF_WRITING):
            raise
        name = os.fsdecode(error.filename) if below and not always else str(path)
        raise WriteError(error.errno or errno.EIO, error.strerror or str(error), name) from error


def _is_below(name: str | bytes | int, folder: Path) -> bool:
    if isinstance(name, int):  # a file descriptor
        return False
    return Path(os.fsdecode(name)).absolute().is_relative_to(folder.absolute())
