"""Hard links, which give a file a name in one step unless the name is taken."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# What file systems without hard links answer. Some say EACCES, which elsewhere means missing rights: the caller's other
# way then fails with the same error.
_NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EINVAL}


def hard_link(file: Path, name: Path) -> bool:
    """Give a file a further name; return False if its file system has no hard links.

    Raises:
        FileExistsError: the name is taken.
        OSError: the link cannot be made.
    """
    try:
        os.link(file, name)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        return False
    return True
