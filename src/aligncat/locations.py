"""Files and folders anywhere: on a disk (pathlib), or on any file system that fsspec knows, by URL.

`RemotePath` has the part of `pathlib.Path` that aligncat needs of a remote file. It asks the server every time, since
other machines write there too, and turns the errors of all client libraries into OSError.
"""

from __future__ import annotations

import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from aligncat.errors import ConfigError
from aligncat.wording import first_line

# What client libraries call the time at which an object was written: S3, GCS and Azure, HTTP, and those in memory.
_WRITTEN = ("LastModified", "mtime", "last_modified", "updated", "created")
_SCHEME = re.compile(r"[a-z][a-z0-9+.:-]*://", re.IGNORECASE | re.ASCII)  # also chained ones: simplecache::s3://
_EPOCH = 1e9  # nanoseconds in a second
_NOT_FOUND, _NO_RIGHTS = (404, 410), (401, 403)  # statuses of HTTP


class RemoteStat(NamedTuple):
    """The size and the age of a remote file, as `os.stat_result` names them.

    Attributes:
        st_size: bytes; 0 also if the server does not say.
        st_mtime_ns: when it was written, nanoseconds since 1970; 0 if the server does not say.
    """

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, slots=True, order=True)
class RemotePath:
    """A file or a folder on a file system that fsspec knows.

    Attributes:
        url: its address without a slash at the end, such as "s3://bucket/photos".
    """

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in."""
        return RemotePath(self.url.rpartition("/")[0])

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot, as pathlib has it."""
        return Path(self.name).suffix

    def exists(self) -> bool:
        """Return whether there is such a file or folder. An empty folder does not exist on an object store."""
        return self._kind() is not None

    def is_file(self) -> bool:
        """Return whether it is a file."""
        return self._kind() == "file"

    def is_dir(self) -> bool:
        """Return whether it is a folder."""
        return self._kind() == "directory"

    def stat(self) -> RemoteStat:
        """Return its size and age."""
        with _as_os_error(self.url):
            system, path = self._opened()
            info = system.info(path)
            return RemoteStat(int(info["size"] or 0), _nanoseconds(info))

    def read_bytes(self) -> bytes:
        """Return its content, with one request."""
        with _as_os_error(self.url):
            system, path = self._opened()
            return bytes(system.cat_file(path))

    def open(self, mode: Literal["rb"]) -> io.BytesIO:
        """Return its content as an open file."""
        return io.BytesIO(self.read_bytes())

    def write_bytes(self, content: bytes | memoryview) -> None:
        """Write it. On an object store, readers see the old content or all of the new."""
        with _as_os_error(self.url):
            system, path = self._opened()
            system.pipe_file(path, bytes(content))

    def create(self, content: bytes | memoryview) -> bool:
        """Write it only if it is not there; return whether this was so. Object stores decide it in one step."""
        with _as_os_error(self.url):
            system, path = self._opened()
            try:
                system.pipe_file(path, bytes(content), mode="create")
            except FileExistsError:
                return False
            return True

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the file."""
        if missing_ok and not self.exists():
            return
        with _as_os_error(self.url):
            system, path = self._opened()
            system.rm_file(path)

    def sizes(self) -> dict[str, int]:
        """Return the names and sizes, in bytes, of the files in the folder, without those in folders below it."""
        with _as_os_error(self.url):
            system, path = self._opened()
            try:
                entries = system.ls(path, detail=True)
            except FileNotFoundError:
                return {}
            return {each["name"].rpartition("/")[2]: int(each["size"] or 0) for each in entries if _is_file(each)}

    def files_below(self) -> list[str]:
        """Return the paths, inside this folder, of all files in it and in the folders below it, sorted."""
        with _as_os_error(self.url):
            system, path = self._opened()
            start = f"{system._strip_protocol(path)}/"
            return sorted(each.removeprefix(start) for each in system.find(path))

    def _kind(self) -> str | None:
        try:
            with _as_os_error(self.url):
                system, path = self._opened()
                return str(system.info(path)["type"])
        except FileNotFoundError:
            return None

    def _opened(self) -> tuple[Any, str]:
        """Return fsspec's file system, which keeps no listings, and the path in it."""
        from fsspec.core import url_to_fs

        # A name may hold "::", with which fsspec would chain file systems.
        root, chained, rest = self.url.partition("::")
        system, path = url_to_fs(root, use_listings_cache=False)
        return system, f"{path}{chained}{rest}"


Location: TypeAlias = "Path | RemotePath"
"""A file or folder, on a disk or remote."""


def is_remote(value: object) -> bool:
    """Return whether a value names a remote file or folder: a URL such as s3://bucket/photos, not words about one."""
    return isinstance(value, RemotePath) or (
        isinstance(value, str) and _SCHEME.match(value) is not None and not value.startswith("file://")
    )


def location(value: str | Path | RemotePath) -> Location:
    """Return the file or folder that a path or a URL names.

    Args:
        value: a path, or a URL of a file system that fsspec knows, such as s3://bucket/photos.

    Raises:
        ConfigError: no file system has this kind of URL, or the package that reads it is not installed.
    """
    if isinstance(value, Path | RemotePath):
        return value
    if not is_remote(value):
        return Path(value.removeprefix("file://"))
    try:
        from fsspec import get_filesystem_class

        get_filesystem_class(value.partition("://")[0])
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"{value}: cannot be reached ({first_line(error)}); install the package that fsspec names for such "
            "addresses, or the extra [s3] of aligncat for S3"
        ) from error
    return RemotePath(value.rstrip("/"))


def file_sizes(folder: Location) -> dict[str, int]:
    """Return the names and sizes, in bytes, of the files in a folder; none if there is no such folder.

    Raises:
        OSError: the folder cannot be listed.
    """
    if isinstance(folder, RemotePath):
        return folder.sizes()
    try:
        with os.scandir(folder) as entries:
            return {each.name: each.stat().st_size for each in entries if each.is_file()}
    except FileNotFoundError:
        return {}


@contextmanager
def _as_os_error(where: str) -> Iterator[None]:
    """Turn whatever a client library raises into an OSError with a number, a reason and the address."""
    try:
        yield
    except Exception as error:
        raise _os_error(error, where) from error


def _os_error(error: Exception, where: str) -> OSError:
    fault = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(fault, Exception) and _is_of_network(fault):
        return _os_error(fault, where)  # over HTTP, fsspec says "not found" of a server that does not answer too
    status = getattr(error, "status", None)  # of aiohttp
    if isinstance(error, FileNotFoundError) or status in _NOT_FOUND:
        return OSError(errno.ENOENT, "no such file", where)
    if isinstance(error, FileExistsError):
        return OSError(errno.EEXIST, "it exists", where)
    if isinstance(error, PermissionError) or status in _NO_RIGHTS:
        return OSError(errno.EACCES, first_line(error) or "no rights", where)
    if isinstance(error, OSError):
        return OSError(error.errno or errno.EIO, error.strerror or first_line(error), where)
    # Each library has classes of its own, such as botocore's for missing keys and for servers that do not answer.
    return OSError(errno.EIO, f"{type(error).__name__}: {first_line(error)}", where)


def _is_of_network(error: Exception) -> bool:
    """Return whether an error has a status of HTTP, or is one of connections."""
    return hasattr(error, "status") or (isinstance(error, OSError) and not isinstance(error, FileNotFoundError))


def _is_file(info: dict[str, Any]) -> bool:
    return bool(info["type"] == "file")


def _nanoseconds(info: dict[str, Any]) -> int:
    """Return when a remote file was written, in nanoseconds since 1970; 0 if its description does not say."""
    value = next((info[key] for key in _WRITTEN if info.get(key) is not None), None)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return 0
    if isinstance(value, datetime):
        return round(value.timestamp() * 1e6) * 1000
    return round(value * _EPOCH) if isinstance(value, int | float) else 0
