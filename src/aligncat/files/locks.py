"""Locks: one aligncat at a time writes a folder or a file.

A lock is a small file that names its process. It exists while the process writes, and a thread renews its time. The
lock of a process that was killed is taken over: at once on the same machine, where the process is known to be dead,
and from other machines after its time has not been renewed for `STALE_SECONDS`. Only hard links, exclusive creation
and renames are used, which are atomic on local disks and on NFS; docs/interruptions.md says what that promises.
"""

from __future__ import annotations

import glob
import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from aligncat.errors import DataError, LockedError
from aligncat.files.hard_links import hard_link
from aligncat.files.owner import Owner
from aligncat.files.temporary import (
    LOCK_NAME,
    LOCK_SUFFIX,
    hidden_name,
    remove_left_files,
    remove_left_siblings,
    temporary_file,
)
from aligncat.files.write_errors import named_write_errors

BEAT_SECONDS = 10.0
STALE_SECONDS = 90.0
"""A lock of another machine whose time was not renewed for so long is taken over."""
_ATTEMPTS = 20  # each fails only if another process creates or removes the lock at the same moment
_LONGEST = 1000  # bytes of a lock

logger = logging.getLogger(__name__)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Create a folder and hold its lock, which is a hidden file inside it.

    What dead processes left in the folder and its direct subfolders is removed first. If the folder
    is new and still empty at the end, it is removed again.

    Args:
        folder: the folder to write into.

    Raises:
        DataError: another process is writing there.
        WriteError: the folder cannot be written.
    """
    with _created(folder, folder), _held(folder / f".aligncat{LOCK_SUFFIX}", folder):
        for each in (folder, *(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())):
            remove_left(each)
        yield


@contextmanager
def path_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file or folder, which is a hidden file beside it.

    Use this for a file, for a folder that must be new or empty, or for a part of a folder that many processes write.
    What dead processes left beside it and in it is removed first.

    Args:
        path: the file or folder to write. Its parent folder is created.

    Raises:
        DataError: another process is writing it.
        WriteError: the parent folder cannot be written.
    """
    final = path.resolve()  # "." has no name
    lock = final.with_name(f"{hidden_name(final)}{LOCK_SUFFIX}")
    with _created(final.parent, path), _held(lock, path):
        for each in (final.parent, final):
            remove_left(each)
        remove_left_siblings(final)
        yield


def remove_left(folder: Path) -> None:
    """Remove the temporary files and folders, and the locks, that dead processes left in a folder.

    Subfolders are not searched. Locks of other machines stay until their path is written again.
    """
    remove_left_files(folder)
    for lock in (path for path in folder.iterdir() if LOCK_NAME.fullmatch(path.name)) if folder.is_dir() else ():
        holder = _read(lock)
        if holder is not None and holder.owner is not None and holder.owner.is_alive() is False:
            with suppress(DataError, OSError), _held(lock, folder):  # taken over, and so removed
                pass


@contextmanager
def _created(folder: Path, what: Path) -> Iterator[None]:
    """Create a folder and its parents, and remove at the end those that are new and still empty."""
    new = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        with named_write_errors(what, always=True):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for each in new:
            with suppress(OSError):  # it is not empty
                each.rmdir()


@dataclass(frozen=True, slots=True)
class _Holder:
    """What a lock file says.

    Attributes:
        token: 8 hexadecimal digits that differ between any two locks.
        owner: the process; None if the file is damaged.
        since: when it took the lock, for people.
        renewed: the file's modification time.
    """

    token: str
    owner: Owner | None
    since: str
    renewed: float

    def lives(self, now: float) -> bool:
        alive = None if self.owner is None else self.owner.is_alive()
        return now - self.renewed < STALE_SECONDS if alive is None else alive

    def error(self, what: Path) -> LockedError:
        who = "" if self.owner is None else f" (pid {self.owner.pid}, host {self.owner.host}, since {self.since})"
        expiry = (
            ""
            if self.owner is not None and self.owner.is_local()
            else f". If it was killed, its lock ends {STALE_SECONDS:.0f} seconds after its last sign of life"
        )
        return LockedError(
            f"{what}: another aligncat{who} is writing here; wait until it has ended, or choose another folder{expiry}"
        )


@contextmanager
def _held(lock: Path, what: Path) -> Iterator[None]:
    """Hold a lock file.

    Args:
        lock: the lock file.
        what: what is locked, for messages.
    """
    token = secrets.token_hex(4)
    ended = Event()
    beat = Thread(target=_renew, args=(lock, token, ended), daemon=True, name="aligncat lock")
    process = os.getpid()
    try:
        with named_write_errors(what, always=True):
            _take(lock, token, what)
        beat.start()
        yield
    finally:
        if os.getpid() == process:  # not in a process forked inside the block
            ended.set()
            if beat.is_alive():
                beat.join()
            _release(lock, token)


def _take(lock: Path, token: str, what: Path) -> None:
    """Create the lock file, or replace that of a dead process.

    Raises:
        DataError: a living process holds the lock.
    """
    for _ in range(_ATTEMPTS):
        lock.parent.mkdir(parents=True, exist_ok=True)
        mine = temporary_file(lock.parent)
        try:
            mine.write_bytes(_content(token))
            now = mine.stat().st_mtime  # by the clock of the file system, which also dates the other locks
            if _create(mine, lock) or _replace(mine, lock, now, what):
                _remove_guards(lock, token)
                return
        except FileNotFoundError:  # the process that held the lock removed the folder, which was empty
            continue
        finally:
            with suppress(OSError):
                mine.unlink()
    raise DataError(f"{what}: other processes keep locking it; try again")


def _create(mine: Path, lock: Path) -> bool:
    """Give the lock its content at once; return whether this worked, so whether there was no lock."""
    try:
        if not hard_link(mine, lock):
            with lock.open("xb") as file:
                file.write(mine.read_bytes())
    except FileExistsError:
        return False
    return True


def _replace(mine: Path, lock: Path, now: float, what: Path) -> bool:
    """Replace the lock of a dead process; return False if the lock has changed meanwhile.

    Of several processes that find the same dead lock, the one that holds the guard named after it may replace it. The
    guard is itself a lock, so that the guard of a process that was killed here is replaced in the same way.
    """
    holder = _read(lock)
    if holder is None:
        return False
    if holder.lives(now):
        raise holder.error(what)
    with _held(_guard(lock, holder.token), what):
        seen = _read(lock)
        if seen is None or seen.token != holder.token:
            return False
        mine.replace(lock)
        return True


def _guard(lock: Path, token: str) -> Path:
    """Return the guard of a lock, or of a guard, that has a token. All guards have short names beside the lock."""
    return lock.with_name(f"{_base(lock)}-{token}")


def _base(lock: Path) -> str:
    return re.sub(r"(-[0-9a-f]{8})\Z", "", lock.name)


def _remove_guards(lock: Path, token: str) -> None:
    """Remove the guards that processes killed while they replaced the lock have left; `token` is the new lock's."""
    if lock.name == _base(lock):
        for guard in lock.parent.glob(f"{glob.escape(lock.name)}-{'[0-9a-f]' * 8}"):
            if guard != _guard(lock, token):
                guard.unlink(missing_ok=True)


def _release(lock: Path, token: str) -> None:
    """Remove the lock file if it is still ours."""
    holder = _read(lock)
    if holder is not None and holder.token == token:
        with suppress(OSError):
            lock.unlink()


def _renew(lock: Path, token: str, ended: Event) -> None:
    """Renew the time of the lock file until the end."""
    while not ended.wait(BEAT_SECONDS):
        holder = _read(lock)
        if holder is None or holder.token != token:
            logger.warning(
                "%s: this process was paused or cut off for so long that another one may be writing here now", lock
            )
            return
        with suppress(OSError):  # the next beat may succeed
            os.utime(lock)


def _content(token: str) -> bytes:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return json.dumps({"aligncat": str(Owner.current()), "since": since, "token": token}).encode()


def _read(lock: Path) -> _Holder | None:
    """Return what a lock file says, or None if there is no such file."""
    try:
        with lock.open("rb") as file:
            content = file.read(_LONGEST)
            renewed = os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    try:
        values = json.loads(content)
        owner = Owner.parse(values["aligncat"])
        since, token = values["since"], values["token"]
        if re.fullmatch(r"[\d: +-]{1,40}", since, re.ASCII) and re.fullmatch(r"[0-9a-f]{8}", token):
            return _Holder(token, owner, since, renewed)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return _Holder(hashlib.sha256(content + f"{renewed}".encode()).hexdigest()[:8], None, "", renewed)
