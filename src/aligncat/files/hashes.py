"""SHA-256 hashes of files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from aligncat.locations import Location


def file_sha256(path: Location) -> str:
    """Return the SHA-256 of a file's contents, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Iterable[Path], *, with_names: bool = False) -> str:
    """Return one SHA-256 for several files: the hash of their binary digests, in the given order.

    Args:
        paths: the files.
        with_names: whether to hash each file's name, followed by a zero byte, before its digest.

    Returns:
        The hash in hexadecimal.
    """
    total = hashlib.sha256()
    for path in paths:
        if with_names:
            total.update(path.name.encode() + b"\0")
        total.update(bytes.fromhex(file_sha256(path)))
    return total.hexdigest()
