"""Text files that list file names, one a line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from aligncat.files.atomic import write_atomic

_LINE_BREAK = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # those of str.splitlines


def write_names(path: Path, names: Iterable[str]) -> None:
    """Write file names atomically, one a line.

    Line breaks inside a name are written as in a URL, such as %0A: a backslash would be read as a separator of folders.

    Args:
        path: the file.
        names: the file names.

    Raises:
        WriteError: the file cannot be written.
    """
    lines = (_LINE_BREAK.sub(lambda found: quote(found[0]), name) for name in names)
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
