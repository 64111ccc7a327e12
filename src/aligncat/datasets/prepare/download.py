"""Resumable downloads over HTTP."""

from __future__ import annotations

import glob
import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from rich.progress import DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

from aligncat.console import progress_bar
from aligncat.datasets.prepare.mirrors import Mirror
from aligncat.errors import DataError, DownloadError
from aligncat.files.atomic import write_atomic
from aligncat.files.documents import read_json
from aligncat.files.hashes import file_sha256
from aligncat.files.temporary import PART_SUFFIX

# REFER's largest archive takes less than 200 MB.
MAX_BYTES = 4 * 2**30
_CHUNK = 2**18
_SECONDS = 60.0
# Seconds to wait after the first, second and third failure in a row; a failure that gained bytes counts as the first.
_WAITS = (0.0, 2.0, 10.0)
_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE_NOT_SATISFIABLE = 416
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")


class _ConnectionLostError(Exception):
    """An attempt failed, and the next one may succeed."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """The server's file that a partial download belongs to.

    Attributes:
        version: the file's strong ETag or date; None if the server sent neither.
        total: bytes of the whole file; None if the server did not send the length.
    """

    version: str | None
    total: int | None


class _Part:
    """A partial download from one address, and a note with the origin of its bytes."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{PART_SUFFIX}")
        self.note = self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self) -> _Origin | None:
        try:
            note = read_json(self.note)
        except DataError:  # no note, or not one of this version: start over
            return None
        match note:
            case {"version": str() | None as version, "total": int() | None as total, **rest} if not rest:
                is_header = version is None or (version.isascii() and version.isprintable())
                return _Origin(version, total) if is_header and not isinstance(total, bool) else None
        return None

    def begin(self, origin: _Origin) -> None:
        self.discard()
        self.path.touch()
        values = {"version": origin.version, "total": origin.total}
        write_atomic(self.note, json.dumps(values).encode())

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def download(mirror: Mirror, target: Path) -> None:
    """Download a file; the target exists only once the download is complete.

    A broken download resumes from its last byte, in this call and in later ones, if the server supports ranges
    (RFC 9110 section 14) and still has the same file. Otherwise it starts over. Redirects are followed.

    Args:
        mirror: the address and, if known, the hash.
        target: the file to write. The partial download is `<target>-<hash of the address>.part`, so that each mirror
            has its own; see `discard_parts`.

    Raises:
        DownloadError: the server does not have the file, cannot be reached, keeps breaking the connection, sends too
            many bytes, or sends a file whose sha256 is not the mirror's.
        OSError: the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target, mirror.url)
    most = failures = 0
    with progress_bar(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(target.name, total=None)
        while True:
            try:
                for done, total in _download_rest(mirror.url, part):
                    progress.update(task, completed=done, total=total)
                break
            except _ConnectionLostError as error:
                failures = 1 if part.size > most else failures + 1
                most = max(most, part.size)
                if failures > len(_WAITS):
                    kept = f"; the {part.size:,} bytes received are kept, and the same command resumes from there"
                    raise DownloadError(f"{mirror.url}: {error}{kept if part.size else ''}") from error
                time.sleep(_WAITS[failures - 1])
    if mirror.sha256 is not None and (found := file_sha256(part.path)) != mirror.sha256:
        part.discard()
        raise DownloadError(f"{mirror.url}: not the expected file: its sha256 is {found}, not {mirror.sha256}")
    part.path.replace(target)
    part.discard()


def discard_parts(target: Path) -> None:
    """Delete the partial downloads of a file from all mirrors, once the file itself is complete."""
    for left in target.parent.glob(f"{glob.escape(target.name)}-*{PART_SUFFIX}*"):
        left.unlink()


def _download_rest(url: str, part: _Part) -> Iterator[tuple[int, int | None]]:
    """Download the missing bytes; yield the bytes received so far and the whole file's length after each chunk.

    Raises:
        _ConnectionLostError: the connection ended before the last byte.
        DownloadError: the download failed, and another attempt would fail too.
    """
    origin = part.origin()
    start = part.size if origin is not None else 0
    if start and origin is not None and start == origin.total:
        return
    with _response(url, start, origin) as response:
        total = _length(response.headers)
        if response.status == 206:
            matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if matched is None or int(matched[1]) != start or (origin and origin.total not in (None, int(matched[2]))):
                part.discard()
                raise _ConnectionLostError("the server resumed with another file than the one started")
            total = int(matched[2])
        else:  # the whole file: no range was asked for or supported, or the file has changed
            start = 0
            part.begin(_Origin(_version(response.headers), total))
        if (total or 0) > MAX_BYTES:
            part.discard()
            raise DownloadError(f"{url}: {total:,} bytes are more than any of these archives should have")
        done = start
        yield done, total
        with part.path.open("ab") as file:
            while chunk := _read(response):
                file.write(chunk)
                done += len(chunk)
                yield done, total
                if done > (MAX_BYTES if total is None else total):
                    break
    if done > (MAX_BYTES if total is None else total):
        part.discard()
        raise DownloadError(f"{url}: the server sent more bytes than it announced")
    if total is not None and done < total:
        raise _ConnectionLostError(f"the connection ended after {done:,} of {total:,} bytes")


@contextmanager
def _response(url: str, start: int, origin: _Origin | None) -> Iterator[HTTPResponse]:
    """Open the server's response for reading."""
    headers = {"User-Agent": "aligncat", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if origin is not None and origin.version is not None:
            headers["If-Range"] = origin.version
    try:
        response: HTTPResponse = urlopen(Request(url, headers=headers), timeout=_SECONDS)
    except HTTPError as error:
        error.close()
        if error.code == _RANGE_NOT_SATISFIABLE and start:
            # The partial download is longer than the server's file, so the file has changed: get all of it.
            with _response(url, 0, None) as whole:
                yield whole
            return
        if error.code in _TEMPORARY_STATUSES:
            raise _ConnectionLostError(f"the server answered {error.code} ({error.reason})") from error
        raise DownloadError(f"{url}: the server answered {error.code} ({error.reason})") from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            raise _ConnectionLostError(f"cannot be reached ({error.reason})") from error
        raise DownloadError(f"{url}: cannot be reached ({error.reason})") from error
    except InvalidURL as error:  # the target of a redirect
        raise DownloadError(f"{url}: redirects to an invalid address ({error})") from error
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise _ConnectionLostError(f"the server did not answer ({error!r})") from error
    with response:
        yield response


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (HTTPException, ConnectionError, TimeoutError, URLError) as error:
        raise _ConnectionLostError(f"the connection was lost ({error!r})") from error


def _length(headers: HTTPMessage) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _version(headers: HTTPMessage) -> str | None:
    """Return the strong ETag or the date, for If-Range, which does not allow weak ETags."""
    tag = headers.get("ETag")
    return tag if tag is not None and tag.startswith('"') else headers.get("Last-Modified")
