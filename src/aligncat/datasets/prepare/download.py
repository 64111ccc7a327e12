"""Fetch a file over HTTP, going on where an earlier attempt broke off."""

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

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from aligncat.datasets.prepare.mirrors import Mirror
from aligncat.errors import DownloadError
from aligncat.files.atomic import PART_SUFFIX, write_atomic
from aligncat.files.hashes import file_sha256

# REFER's largest archive takes less than 200 MB.
MAX_BYTES = 4 * 2**30
_CHUNK = 2**18
_SECONDS = 60.0
# How long to wait before each attempt that follows one which gained nothing; none that gained something is counted.
_WAITS = (0.0, 2.0, 10.0)
_NOT_NOW = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE_NOT_SATISFIABLE = 416
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})")


class _BrokenOffError(Exception):
    """An attempt failed in a way that the next one may not."""


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a half-fetched file is the beginning of.

    Attributes:
        version: the server's strong ETag or date of the file; None where it gave neither.
        total: bytes of the whole file; None where the server did not say.
    """

    version: str | None
    total: int | None


class _Part:
    """The bytes fetched so far from one address, beside a note of what they are the beginning of."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}{PART_SUFFIX}")
        self.note = self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def origin(self) -> _Origin | None:
        try:
            return _Origin(**json.loads(self.note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):  # no note, or none that this version wrote: begin anew
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
    """Fetch a file to its place: wholly, or not at all.

    A connection that breaks off is taken up again from where it broke, at once and by the next call, if the server
    can do that (HTTP ranges, RFC 9110 section 14) and still has the same file; else the file is fetched anew.
    Redirections are followed.

    Args:
        mirror: where from.
        target: the file to write; what is fetched grows beside it in `<target>-<hash of the address>.part`, which
            other mirrors leave alone; see `discard_parts`.

    Raises:
        DownloadError: the server does not have it, cannot be reached, keeps breaking off, sends too much, or
            sends other bytes than the mirror's sha256 says.
        OSError: the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target, mirror.url)
    most = failures = 0
    with _progress() as progress:
        task = progress.add_task(target.name, total=None)
        while True:
            try:
                for done, total in _attempt(mirror.url, part):
                    progress.update(task, completed=done, total=total)
                break
            except _BrokenOffError as error:
                failures = 1 if part.size > most else failures + 1
                most = max(most, part.size)
                if failures > len(_WAITS):
                    kept = f"; the {part.size:,} bytes that came are kept, and the same command goes on from there"
                    raise DownloadError(f"{mirror.url}: {error}{kept if part.size else ''}") from error
                time.sleep(_WAITS[failures - 1])
    if mirror.sha256 is not None and (found := file_sha256(part.path)) != mirror.sha256:
        part.discard()
        raise DownloadError(f"{mirror.url}: another file came than is expected: its sha256 is {found}")
    part.path.replace(target)
    part.discard()


def discard_parts(target: Path) -> None:
    """Delete what broken downloads of a file left beside it, from whichever mirrors, now that it is here and good."""
    for left in target.parent.glob(f"{glob.escape(target.name)}-*{PART_SUFFIX}*"):
        left.unlink()


def _attempt(url: str, part: _Part) -> Iterator[tuple[int, int | None]]:
    """Fetch what is still missing; gives the bytes there are and those of the whole file as they come.

    Raises:
        _BrokenOffError: not all came.
        DownloadError: trying again would not help.
    """
    origin = part.origin()
    start = part.size if origin is not None else 0
    if start and origin is not None and start == origin.total:
        return
    with _answer(url, start, origin) as response:
        total = _length(response.headers)
        if response.status == 206:
            matched = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if matched is None or int(matched[1]) != start or (origin and origin.total not in (None, int(matched[2]))):
                part.discard()
                raise _BrokenOffError("the server went on with another file than the one begun")
            total = int(matched[2])
        else:  # the whole file, as asked for, or because the server cannot go on or has another one by now
            start = 0
            part.begin(_Origin(_version(response.headers), total))
        if (total or 0) > MAX_BYTES:
            part.discard()
            raise DownloadError(f"{url}: {total:,} bytes are more than any of these archives has")
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
        raise DownloadError(f"{url}: the server sent more bytes than it said")
    if total is not None and done < total:
        raise _BrokenOffError(f"the connection ended after {done:,} of {total:,} bytes")


@contextmanager
def _answer(url: str, start: int, origin: _Origin | None) -> Iterator[HTTPResponse]:
    """The server's answer, open for reading."""
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
            # More is here than the server has: it is another file by now, and no range of it can be asked for.
            with _answer(url, 0, None) as whole:
                yield whole
            return
        if error.code in _NOT_NOW:
            raise _BrokenOffError(f"the server answers {error.code} ({error.reason})") from error
        raise DownloadError(f"{url}: the server answers {error.code} ({error.reason})") from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionResetError):
            raise _BrokenOffError(f"cannot be reached ({error.reason})") from error
        raise DownloadError(f"{url}: cannot be reached ({error.reason})") from error
    except InvalidURL as error:  # where the server sent us on to
        raise DownloadError(f"{url}: leads to no address ({error})") from error
    except (HTTPException, ConnectionError, TimeoutError) as error:
        raise _BrokenOffError(f"the server gives no answer ({error!r})") from error
    with response:
        yield response


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (HTTPException, ConnectionError, TimeoutError, URLError) as error:
        raise _BrokenOffError(f"the connection broke off ({error!r})") from error


def _length(headers: HTTPMessage) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None


def _version(headers: HTTPMessage) -> str | None:
    """What the server can tell later whether its file is still the same by; a weak ETag cannot be asked with."""
    tag = headers.get("ETag")
    return tag if tag is not None and tag.startswith('"') else headers.get("Last-Modified")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
