"""Folders that appear only when they are complete."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aligncat.errors import DataError
from aligncat.files.atomic import write_atomic
from aligncat.files.locks import path_lock
from aligncat.files.temporary import hidden_name, remove_left_files, staging_folder, temporary_sibling
from aligncat.files.write_errors import named_write_errors


def check_new(out: Path) -> None:
    """Check that a folder does not exist, or is empty.

    Raises:
        DataError: it is not empty, or is a file.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} exists and is not empty; choose another folder or remove it first")


@contextmanager
def new_folder(out: Path, replaces: Callable[[Path], bool] = lambda _: False) -> Iterator[Path]:
    """Create a folder under a temporary name, and rename it at the end of the block or remove it on an error.

    The lock of `out` is held meanwhile. Hidden folders that killed processes left beside it are removed.

    Args:
        out: the folder's final path. It must not exist or must be an empty folder.
        replaces: whether a folder that is not empty may be replaced.

    Yields:
        The folder to write into, beside `out`.

    Raises:
        DataError: `out` is not empty, or another process is writing it.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    final = out.resolve()  # "." has no name to derive the temporary names from
    with path_lock(final):
        replaced = final.is_dir() and replaces(final)
        if not replaced:
            check_new(out)
        # The folder disappears also on Ctrl-C: an incomplete dataset is useless, and its name would not show that.
        with named_write_errors(out), staging_folder(final) as unfinished:
            yield unfinished
            with named_write_errors(out, always=True):
                if replaced:
                    _replace(final, unfinished)
                    return
                if final.exists():
                    final.rmdir()
                unfinished.rename(final)


@contextmanager
def resumed_folder(out: Path, made_from: str) -> Iterator[Path]:
    """Create a folder that appears when it is complete, as `new_folder` does, and go on with one that was interrupted.

    If the process is stopped or killed within the block, the hidden folder with the files so far stays. The next call
    with the same `made_from` yields it again; any other removes it. An error removes it too. The block must cope with
    files of an earlier call, the last of which may be incomplete.

    Args:
        out: the folder's final path. It must not exist or must be an empty folder.
        made_from: identifies all that the folder is made from.

    Yields:
        The folder to write into, beside `out`.

    Raises:
        DataError: `out` is not empty, or another process is writing it.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    final = out.resolve()
    with path_lock(final), named_write_errors(out):
        check_new(out)
        unfinished = final.with_name(f"{hidden_name(final)}.unfinished")
        note = unfinished / _MADE_FROM
        try:
            if note.is_file() and note.read_text(encoding="utf-8") == made_from:
                logger.info("%s: going on with what an interrupted command has written", out)
                remove_left_files(unfinished)
            else:
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir(parents=True)
                write_atomic(note, made_from.encode())
            yield unfinished
        except BaseException as error:
            if isinstance(error, Exception) or not any(
                path.is_file() and path != note for path in unfinished.rglob("*")
            ):
                shutil.rmtree(unfinished, ignore_errors=True)
            raise
        with named_write_errors(out, always=True):
            note.unlink()
            if final.exists():
                final.rmdir()
            unfinished.rename(final)


_MADE_FROM = ".made-from"
logger = logging.getLogger(__name__)


def _replace(out: Path, unfinished: Path) -> None:
    old = temporary_sibling(out, "old")
    out.rename(old)
    try:
        unfinished.rename(out)
    except BaseException:
        if not out.exists():
            old.rename(out)
        raise
    shutil.rmtree(old)
