"""Files and locks on file systems with hard links and without."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from aligncat.errors import DataError, WriteError
from aligncat.files.atomic import create_atomic
from aligncat.files.hard_links import hard_link
from aligncat.files.locks import folder_lock

WITHOUT = [errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL]


def refuse_links(patch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    patch.setattr(os, "link", refuse)


def test_a_link_is_a_further_name_unless_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    assert hard_link(tmp_path / "file", tmp_path / "name")
    assert (tmp_path / "file").samefile(tmp_path / "name")
    with pytest.raises(FileExistsError):
        hard_link(tmp_path / "file", tmp_path / "name")


@pytest.mark.parametrize("number", WITHOUT, ids=errno.errorcode.get)
def test_without_hard_links_a_file_is_created_once_and_a_lock_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse_links(monkeypatch, number)
    assert create_atomic(tmp_path / "file", b"first") and not create_atomic(tmp_path / "file", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"first")]
    with folder_lock(tmp_path), pytest.raises(DataError, match="is writing here"), folder_lock(tmp_path):
        pass


def test_a_full_disk_is_not_taken_for_one_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_links(monkeypatch, errno.ENOSPC)
    for write in (lambda: create_atomic(tmp_path / "file", b"first"), folder_lock(tmp_path / "folder").__enter__):
        with pytest.raises(WriteError, match="free some disk space"):
            write()
    assert not list(tmp_path.iterdir())
