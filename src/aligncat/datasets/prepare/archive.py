"""Take a dataset's annotation files out of an archive that a stranger packed.

Nothing is written outside the folder, links and devices are refused, and what unpacks to far more than it weighs is
given up before it fills the disk or the memory.
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
from tempfile import TemporaryDirectory
from typing import IO, cast

from aligncat.datasets.known import KNOWN
from aligncat.errors import DataError

# REFER's archives unpack to some hundred megabytes, five to ten times their size.
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
        name: its path, as written.
        plain: whether it is a file or a folder, rather than a link, a device or a file with holes.
        folder: whether it is a folder.
        open: opens the file's content.
    """

    name: str
    plain: bool
    folder: bool
    open: Callable[[], IO[bytes]]


class _Budget:
    """Bytes that may still be unpacked."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        self.left = min(MAX_BYTES, max(_ALWAYS_ALLOWED, _MAX_RATIO * archive.stat().st_size))

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise DataError(
                f"{self.archive}: unpacks to far more than such an archive holds, so it was given up; "
                "fetch it from a source you trust"
            )


class _Metered:
    """A stream that is read within a budget; a tar's headers count too, as their lengths are the packer's word."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self._budget.take(len(content))
        return content


def is_archive(path: Path) -> bool:
    """Whether it is a zip, a tar or a tar.gz, by its content."""
    if not path.is_file():
        return False
    if zipfile.is_zipfile(path):
        return True
    # Not tarfile.is_tarfile, which takes the lengths in a hostile header at their word.
    try:
        with _decompressed(path) as stream:
            return stream.read(_TAR_HEADER)[_TAR_MAGIC] == b"ustar"
    except (EOFError, zlib.error, gzip.BadGzipFile):  # a .gz that is cut off within its first block
        return False


def unpack_annotations(archive: Path, dataset: str, folder: Path, needed: Sequence[str] = ()) -> tuple[str, ...]:
    """Put an archive's refs(*.p) and instances.json of a dataset into a folder: all of them, or none.

    Args:
        archive: a zip, a tar or a tar.gz.
        dataset: by name; where the archive has files of several datasets in folders, it is the folder's name.
        folder: where they go; it is made, and files of the same names are replaced.
        needed: the names that must be among the files, before any is put there.

    Returns:
        The names of the files.

    Raises:
        DataError: it is no such archive, is damaged, lacks such files or one that is needed, or is unsafe: a member
            whose path leads outside, a link, or content that unpacks to far more than such an archive holds.
        OSError: the folder cannot be written.
    """
    if not is_archive(archive):
        raise DataError(f"{archive}: neither a zip nor a tar nor a tar.gz: {_beginning(archive)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        wanted = _wanted(archive, dataset)
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as staging:
            _write(archive, wanted, Path(staging))
            return place(Path(staging), folder, needed, archive)
    except _DAMAGED as error:
        raise DataError(f"{archive}: damaged ({error}); fetch it again") from error


def annotation_files(folder: Path) -> list[Path]:
    """The refs(*.p) and instances.json that lie in a folder, by name."""
    return sorted(path for path in folder.iterdir() if _ANNOTATIONS.fullmatch(path.name) and path.is_file())


def is_another(folder_name: str, dataset: str) -> bool:
    """Return whether a folder has the name of another known dataset than the one to find."""
    return folder_name != dataset and folder_name in KNOWN


def require(folder: Path, needed: Sequence[str], source: Path) -> list[Path]:
    """The annotation files of a folder, among which there must be some; the source is where they are from.

    Raises:
        DataError: one that is needed is not there.
    """
    files = annotation_files(folder)
    names = [path.name for path in files]
    if lacking := [name for name in needed if name not in names]:
        raise DataError(
            f"{source}: lacks {' and '.join(lacking)}; it has {', '.join(names) or 'none of them'}; give a source that "
            "has all, or ask for the set that it holds"
        )
    return files


def place(staging: Path, folder: Path, needed: Sequence[str], source: Path) -> tuple[str, ...]:
    """Move the annotation files of one folder into another on the same disk, now that all are whole; see `require`."""
    files = require(staging, needed, source)
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        path.replace(folder / path.name)
    return tuple(path.name for path in files)


def copy_stream(source: IO[bytes], target: Path, take: Callable[[int], None] | None = None) -> None:
    """Write a stream to a new file and make it durable.

    Args:
        source: read to its end.
        target: the file.
        take: told of every chunk's length before it is written.
    """
    with target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            if take is not None:
                take(len(chunk))
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _wanted(archive: Path, dataset: str) -> dict[str, str]:
    """Member -> file name, for the members to unpack; every member of the archive is looked at."""
    by_folder: dict[str, dict[str, str]] = {}
    with _members(archive, _Budget(archive)) as members:
        for member in members:
            path = PurePosixPath(member.name)
            _check_path(archive, member)
            hidden = any(part.startswith((".", "__MACOSX")) for part in path.parts)
            if not member.folder and not hidden and _ANNOTATIONS.fullmatch(path.name):
                files = by_folder.setdefault(path.parent.name, {})
                if path.name in files.values():
                    raise DataError(f"{archive}: has {path.name} of {path.parent.name} twice; keep the one you mean")
                files[member.name] = path.name
    if dataset in by_folder:
        return by_folder[dataset]
    if len(by_folder) == 1 and not is_another(next(iter(by_folder)), dataset):  # without its folder, or renamed
        return next(iter(by_folder.values()))
    folders = f" of {dataset}, only of {', '.join(sorted(by_folder))}" if by_folder else ""
    raise DataError(f"{archive}: holds no refs(*.p) and instances.json{folders}")


def _check_path(archive: Path, member: _Member) -> None:
    posix, windows = PurePosixPath(member.name), PureWindowsPath(member.name)
    outside = posix.is_absolute() or windows.drive or windows.root or ".." in (*posix.parts, *windows.parts)
    if outside or not member.plain:
        what = "leads outside the archive's folder" if outside else "is a link or another thing than a plain file"
        raise DataError(
            f"{archive}: its member {member.name!r} {what}, so nothing was unpacked; fetch it from a source you trust"
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
    """The members in order; a tar's content must be read before the next is asked for, within the budget."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            yield (_zip_member(packed, info, archive) for info in packed.infolist())
        return
    with _decompressed(archive) as stream, tarfile.open(fileobj=_Metered(stream, budget), mode="r|") as tape:  # type: ignore[call-overload]
        yield (_tar_member(tape, info) for info in tape)


def _zip_member(packed: zipfile.ZipFile, info: zipfile.ZipInfo, archive: Path) -> _Member:
    if info.flag_bits & _ENCRYPTED:
        raise DataError(f"{archive}: {info.filename!r} is locked with a password; unpack it and give the folder")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # of others, zipfile cannot stop a bomb
        raise DataError(f"{archive}: {info.filename!r} is packed in a rare way; unpack it and give the folder")
    kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was packed on another system than Unix
    plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
    return _Member(info.filename, plain, info.is_dir(), partial(packed.open, info))


def _tar_member(tape: tarfile.TarFile, info: tarfile.TarInfo) -> _Member:
    def opened() -> IO[bytes]:
        content = tape.extractfile(info)
        assert content is not None, "only files are opened"
        return content

    plain = info.isdir() or (info.isreg() and not info.issparse())  # holes weigh nothing in the archive
    return _Member(info.name, plain, info.isdir(), opened)


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(archive)) if packed else archive.open("rb")


def _beginning(path: Path) -> str:
    if not path.is_file():
        return "there is no such file"
    with path.open("rb") as file:
        start = file.read(24)
    if start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        return "it is damaged or cut off"
    return f"it begins with {start!r}"
