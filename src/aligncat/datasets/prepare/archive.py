"""Extraction of a dataset's annotation files from an untrusted archive.

Nothing is written outside the target folder. Links and devices are refused. An archive that unpacks to far more than
its own size is refused before it fills the disk or the memory.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, cast

from aligncat.datasets.known import KNOWN
from aligncat.errors import DataError
from aligncat.files.temporary import staging_folder

# REFER's archives unpack to a few hundred megabytes, five to ten times their size.
MAX_BYTES = 2 * 2**30
_MAX_RATIO = 100
_ALWAYS_ALLOWED = 64 * 2**20
_CHUNK = 2**20
_ANNOTATIONS = re.compile(r"refs\([^()/\\]+\)\.p|instances\.json")
_ENCRYPTED = 1
_TAR_HEADER, _TAR_MAGIC = 512, slice(257, 262)
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError)


@dataclass(frozen=True, slots=True)
class _Member:
    """One entry of an archive.

    Attributes:
        name: its path in the archive, unchanged.
        plain: whether it is a regular file or a folder, and not a link, a device or a sparse file.
        folder: whether it is a folder.
        open: opens the file's content.
    """

    name: str
    plain: bool
    folder: bool
    open: Callable[[], IO[bytes]]


class _Budget:
    """The number of bytes that may still be unpacked."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.left = min(MAX_BYTES, max(_ALWAYS_ALLOWED, _MAX_RATIO * archive.stat().st_size))

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise DataError(
                f"{self.archive}: unpacks to far more than a dataset's archive should, so nothing was unpacked; "
                "get it from a source you trust"
            )


class _Metered:
    """A stream that counts every byte read against a budget, including tar headers, whose lengths cannot be trusted."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._budget.take(len(content))
        return content


def is_archive(path: Path) -> bool:
    """Return whether a file is a zip, a tar or a tar.gz, judged by its content."""
    if not path.is_file():
        return False
    if zipfile.is_zipfile(path):
        return True
    # tarfile.is_tarfile would trust the lengths in a hostile header.
    try:
        with _decompressed(path) as stream:
            return stream.read(_TAR_HEADER)[_TAR_MAGIC] == b"ustar"
    except (EOFError, zlib.error, gzip.BadGzipFile):  # a .gz that is truncated within its first block
        return False


def unpack_annotations(archive: Path, dataset: str, folder: Path, needed: Sequence[str] = ()) -> tuple[str, ...]:
    """Extract a dataset's refs(*.p) and instances.json from an archive into a folder: all of them, or none.

    Args:
        archive: a zip, a tar or a tar.gz.
        dataset: the dataset's name. If the archive has several datasets, their folders have the datasets' names.
        folder: the target folder; it is created, and files of the same names are replaced.
        needed: names of files that the archive must have. If one is missing, nothing is extracted.

    Returns:
        The names of the extracted files.

    Raises:
        DataError: the file is not such an archive, is damaged, or lacks needed files. Or the archive is unsafe: a
            member is a link or has a path outside the archive, or the content unpacks to far more than it should.
        OSError: the folder cannot be written.
    """
    if not is_archive(archive):
        raise DataError(f"{archive}: not a zip, tar or tar.gz archive: {_beginning(archive)}")
    try:
        wanted = _wanted(archive, dataset)
        with staging_folder(folder) as staging:
            _write(archive, wanted, staging)
            return place(staging, folder, needed, archive)
    except _DAMAGED as error:
        raise DataError(f"{archive}: damaged ({error}); download it again") from error


def annotation_files(folder: Path) -> list[Path]:
    """Return the paths of a folder's refs(*.p) and instances.json, sorted."""
    return sorted(path for path in folder.iterdir() if _ANNOTATIONS.fullmatch(path.name) and path.is_file())


def is_another(folder_name: str, dataset: str) -> bool:
    """Return whether a folder is named after a known dataset other than `dataset`."""
    return folder_name != dataset and folder_name in KNOWN


def require(folder: Path, needed: Sequence[str], source: Path) -> list[Path]:
    """Return the annotation files of a folder, after checking that the needed ones exist.

    Args:
        folder: the folder.
        needed: names of the files that must exist.
        source: the archive or folder that the files come from, for the message.

    Raises:
        DataError: a needed file is missing.
    """
    files = annotation_files(folder)
    names = [path.name for path in files]
    if lacking := [name for name in needed if name not in names]:
        raise DataError(
            f"{source}: lacks {' and '.join(lacking)}; it has {', '.join(names) or 'no annotation files'}. Give a "
            "source that has all of them, or prepare the dataset that this source has"
        )
    return files


def place(staging: Path, folder: Path, needed: Sequence[str], source: Path) -> tuple[str, ...]:
    """Move the annotation files to another folder on the same disk, if `require` passes, and return their names."""
    files = require(staging, needed, source)
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        path.replace(folder / path.name)
    return tuple(path.name for path in files)


def copy_stream(source: IO[bytes], target: Path, take: Callable[[int], None] | None = None) -> None:
    """Write a stream to a new file and flush it to the disk.

    Args:
        source: the stream; it is read to its end.
        target: the file; it must not exist.
        take: called with the length of each chunk before the chunk is written.
    """
    with target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            if take is not None:
                take(len(chunk))
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _wanted(archive: Path, dataset: str) -> dict[str, str]:
    """Check every member of the archive, and return member name -> file name of those to unpack."""
    by_folder: dict[str, dict[str, str]] = {}
    with _members(archive, _Budget(archive)) as members:
        for member in members:
            path = PurePosixPath(member.name)
            _check_path(archive, member)
            hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
            if not member.folder and not hidden and _ANNOTATIONS.fullmatch(path.name):
                files = by_folder.setdefault(path.parent.name, {})
                if path.name in files.values():
                    raise DataError(f"{archive}: has {path.name} of {path.parent.name} twice; remove one of them")
                files[member.name] = path.name
    if dataset in by_folder:
        return by_folder[dataset]
    # The archive may have the files in no folder, or in a renamed one.
    if len(by_folder) == 1 and not is_another(next(iter(by_folder)), dataset):
        return next(iter(by_folder.values()))
    folders = f" of {dataset}, only of {', '.join(sorted(by_folder))}" if by_folder else ""
    raise DataError(f"{archive}: has no refs(*.p) and instances.json{folders}")


def _check_path(archive: Path, member: _Member) -> None:
    posix, windows = PurePosixPath(member.name), PureWindowsPath(member.name)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in (*posix.parts, *windows.parts)
    if outside or not member.plain:
        fault = "has a path outside the archive" if outside else "is not a regular file or folder"
        raise DataError(
            f"{archive}: the member {member.name!r} {fault}, so nothing was unpacked; get it from a source you trust"
        )


def _write(archive: Path, wanted: dict[str, str], staging: Path) -> None:
    budget = _Budget(archive)
    zipped = zipfile.is_zipfile(archive)
    with _members(archive, budget) as members:
        for member in members:
            if member.name in wanted:
                with member.open() as content:
                    copy_stream(content, staging / wanted[member.name], budget.take if zipped else None)


@contextmanager
def _members(archive: Path, budget: _Budget) -> Iterator[Iterator[_Member]]:
    """Open an archive for iteration; a tar's members must be read in order, and count against the budget."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield (_zip_member(packed, info, archive) for info in packed.infolist())
        return
    with _decompressed(archive) as stream, tarfile.open(fileobj=_Metered(stream, budget), mode="r|") as tape:  # type: ignore[call-overload]
        yield (_tar_member(tape, info) for info in tape)


def _zip_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo, archive: Path) -> _Member:
    if info.flag_bits & _ENCRYPTED:
        raise DataError(f"{archive}: {info.filename!r} is encrypted; unpack it and give the folder")
    # For other compression methods, zipfile cannot limit the output.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{archive}: {info.filename!r} has a rare compression; unpack it and give the folder")
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 unless it was packed on Unix
    plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
    return _Member(info.filename, plain, info.is_dir(), partial(packed.open, info))


def _tar_member(tape: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def opened() -> IO[bytes]:
        content = tape.extractfile(info)
        assert content is not None, "only files are opened"
        return content

    plain = info.isdir() or (info.isreg() and not info.issparse())  # a sparse file's holes take no space in the archive
    return _Member(info.name, plain, info.isdir(), opened)


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(archive)) if packed else archive.open("rb")


def _beginning(path: Path) -> str:
    if not path.is_file():
        return "no such file"
    with path.open("rb") as file:
        start = file.read(24)
    if start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        return "it is damaged or truncated"
    return f"it begins with {start!r}"
