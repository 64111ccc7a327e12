"""Stamps of the photos that a store was made from: they tell whether a photo has changed since."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from aligncat.errors import DataError, ImageError, StoreError
from aligncat.files.hashes import file_sha256
from aligncat.files.images import open_file
from aligncat.locations import Location, RemotePath
from aligncat.store.photo import Photo

STAMP_FIELDS = (
    pa.field("source_bytes", pa.int64()),
    pa.field("source_modified", pa.int64()),
    pa.field("source_sha256", pa.binary(32)),
)
_NAMED = 3  # the most changed photos that an error names


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a photo's file was when it was read.

    Attributes:
        size: its size, bytes.
        modified: its modification time, nanoseconds since 1970.
        sha256: hash of its bytes, hexadecimal.
    """

    size: int
    modified: int
    sha256: str

    def differs_from(self, path: Location) -> bool:
        """Return whether a file is another one now: by its size, or by its time and its hash, as copies change times.

        A server may tell no size and no time. Then the hash alone decides, for which the photo is read.

        Raises:
            OSError: the file is missing, or cannot be looked at.
        """
        now = path.stat()
        has_size = now.st_size > 0 or isinstance(path, Path)
        if has_size and now.st_size != self.size:
            return True
        same_time = now.st_mtime_ns == self.modified and now.st_mtime_ns != 0
        return not same_time and file_sha256(path) != self.sha256


def read_source(path: Location) -> tuple[bytes, Stamp]:
    """Return the bytes of an image file and their stamp.

    Raises:
        ImageError: there is no such file, or it cannot be read.
        DataError: the server of a remote file cannot be reached, so nothing is known of the file.
    """
    if isinstance(path, RemotePath):
        return _read_remote(path)
    with open_file(path) as file:
        modified = os.fstat(file.fileno()).st_mtime_ns
        content = file.read()
    return content, Stamp(len(content), modified, hashlib.sha256(content).hexdigest())


def _read_remote(path: RemotePath) -> tuple[bytes, Stamp]:
    try:
        modified = path.stat().st_mtime_ns  # asked first: of a photo that is replaced now, the hash then decides
        content = path.read_bytes()
    except OSError as error:
        if is_of_photo(path, error):
            raise ImageError(f"{path}: the image cannot be read ({error.strerror}); replace or remove it.") from error
        raise DataError(
            f"{path}: cannot be read now ({error.strerror}), which says nothing of the photo; see whether its server "
            "can be reached and your rights hold, and run the same command again"
        ) from error
    return content, Stamp(len(content), modified, hashlib.sha256(content).hexdigest())


def is_of_photo(path: RemotePath, error: OSError) -> bool:
    """Return whether an error of reading a remote photo is of this photo alone: it is gone, or refused alone."""
    return isinstance(error, FileNotFoundError) or (isinstance(error, PermissionError) and _answers(path.parent))


def _answers(folder: RemotePath) -> bool:
    """Return whether a server answers for a remote folder, so that rights which are missing are those of one file.

    Over HTTP, a folder of photos need not exist itself: that it is not found is an answer too.
    """
    try:
        folder.exists()
    except OSError:
        return False
    return True


def stamp_columns(stamps: Sequence[Stamp | None]) -> dict[str, pa.Array]:
    """Return the stamps as the columns STAMP_FIELDS. A file that could not be read has no stamp."""
    size, modified, digest = STAMP_FIELDS
    return {
        size.name: pa.array([None if each is None else each.size for each in stamps], size.type),
        modified.name: pa.array([None if each is None else each.modified for each in stamps], modified.type),
        digest.name: pa.array([None if each is None else bytes.fromhex(each.sha256) for each in stamps], digest.type),
    }


def check_unchanged(folder: Location, images: Iterable[Photo], stored: pa.Table) -> None:
    """Check that the photos are the files that the store was made from.

    A photo has changed if its size differs, or if its modification time and its hash differ: copies change times. A
    photo that is missing now has not changed, since its candidates are still right. A photo that could not be read then
    and can be read now has changed.

    Args:
        folder: the store's folder.
        images: the images of the same extraction now.
        stored: the columns image_id, skipped and STAMP_FIELDS of images that are in the store.

    Raises:
        StoreError: photos have changed; the message names some of them. Or one cannot be read to see whether it has.
    """
    paths = {image.id: image.path for image in images}
    changed = [
        paths[row["image_id"]]
        for batch in stored.to_batches()
        for row in batch.to_pylist()
        if row["image_id"] in paths and _differs(paths[row["image_id"]], row)
    ]
    if not changed:
        return
    names = ", ".join(map(str, changed[:_NAMED])) + (", ..." if len(changed) > _NAMED else "")
    count = "1 photo has" if len(changed) == 1 else f"{len(changed)} photos have"
    raise StoreError(
        f"{folder}: {count} changed since this store was made from them: {names}. Extract into another folder, or "
        "delete this one and extract again."
    )


def _differs(path: Location, row: Mapping[str, Any]) -> bool:
    """Return whether a file differs from its stamp in a row of the store.

    Raises:
        StoreError: it cannot be read to see this.
    """
    try:
        if row["source_bytes"] is None:
            return row["skipped"] is not None and can_be_read(path)
        return Stamp(row["source_bytes"], row["source_modified"], row["source_sha256"].hex()).differs_from(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read to see whether it has changed ({error.strerror}); see whether it can be reached, "
            "and run the same command again"
        ) from error


def can_be_read(path: Location) -> bool:
    """Return whether a photo can be read that could not be read before.

    Raises:
        OSError: the server of a remote photo cannot be reached, or fails.
    """
    if not isinstance(path, RemotePath):
        try:
            return path.is_file() and os.access(path, os.R_OK)
        except (OSError, ValueError):  # ValueError: the name holds a null character
            return False
    try:
        path.read_bytes()
    except (FileNotFoundError, PermissionError):
        return False
    return True
