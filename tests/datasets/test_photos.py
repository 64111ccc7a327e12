"""The photos in a folder: what is taken, and what is said about the rest."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from helpers.fabricate import write_image

from aligncat.datasets.photos import photos_in
from aligncat.errors import DataError

JPEG = b"\xff\xd8\xff\xe0 not read further"
HEIC = b"\0\0\0\x18ftypheic" + bytes(50)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image(tmp_path / "photos" / "one.png", 0)
    return tmp_path / "photos"


def taken(folder: Path, **options: bool) -> list[str]:
    return [record.id for record in photos_in(folder, **options)]


def test_one_line_says_what_was_left_out_and_why(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_image(folder / ".ipynb_checkpoints" / "one-checkpoint.png", 0)
    write_image(folder / "deep" / ".cache" / "two.png", 0)
    write_image(folder.parent / "elsewhere" / "three.png", 0)
    (folder / "more").symlink_to("../elsewhere")
    (folder / "lost.png").symlink_to("nowhere.png")
    (folder / "linked.png").symlink_to("../elsewhere/three.png")
    (folder / "._one.png").write_bytes(b"macOS metadata")
    (folder / "four.jpg_large").write_bytes(JPEG)
    (folder / "five").write_bytes(JPEG)
    (folder / "IMG_1.HEIC").write_bytes(HEIC)
    (folder / "IMG_2").write_bytes(HEIC)
    (folder / "labels.txt").write_text("x")
    (folder / ".DS_Store").write_bytes(b"x")
    with caplog.at_level(logging.INFO, logger="aligncat.datasets"):
        assert taken(folder) == ["linked.png", "one.png"]
    [line] = caplog.messages
    head, _, reasons = line.partition(": 2 photos; left out ")
    assert head == str(folder)
    assert sorted(reasons.split("; ")) == [
        "HEIC photos, to convert to JPEG: 2 (IMG_1.HEIC)",
        "broken links: 1 (lost.png)",
        "files that are no images: 2 (.DS_Store)",
        "hidden files: 1 (._one.png)",
        "hidden folders: 2 (.ipynb_checkpoints)",
        "linked folders, which are not followed: 1 (more)",
        "photos without an image's suffix, to rename: 2 (five)",
    ]
    assert caplog.records[0].levelno == logging.WARNING


def test_other_files_are_no_reason_to_warn(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "instances.json").write_text("{}")
    with caplog.at_level(logging.INFO, logger="aligncat.datasets"):
        assert taken(folder) == ["one.png"]
    assert [record.levelno for record in caplog.records] == [logging.INFO]


def test_a_folder_of_photos_alone_says_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_image(folder / "sub" / "two.PNG", 1)
    with caplog.at_level(logging.INFO, logger="aligncat.datasets"):
        assert taken(folder) == ["one.png", "sub/two.PNG"]
    assert caplog.messages == []


def test_a_circle_of_links_ends(folder: Path) -> None:
    (folder / "again").symlink_to(".")
    assert taken(folder) == ["one.png"]


def test_a_folder_of_heic_photos_says_so(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    with pytest.raises(DataError, match=r"no image file .*HEIC photos, to convert to JPEG: 1 \(IMG_1\.HEIC\)"):
        photos_in(tmp_path)


@pytest.mark.parametrize("name", [b"caf\xe9.png", b"caf\xe9/two.png"])
def test_a_name_that_is_not_utf8_is_an_error_or_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture, name: bytes
) -> None:
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    try:
        write_image(path, 0)
    except OSError:
        pytest.skip("the file system takes only UTF-8 names")
    with pytest.raises(DataError, match=r"the name caf\\xe9.*\.png is not UTF-8, .*--skip_bad_images true"):
        photos_in(folder)
    with caplog.at_level(logging.WARNING, logger="aligncat.datasets"):
        assert taken(folder, skip_bad_names=True) == ["one.png"]
    [line] = caplog.messages
    assert r"images whose names are not UTF-8: 1 (caf\xe9" in line
    line.encode()  # can be printed


@pytest.mark.skipif(os.geteuid() == 0, reason="root can list every folder")
def test_a_folder_that_cannot_be_listed_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "closed").mkdir(mode=0)
    assert taken(folder) == ["one.png"]
    assert "folders that cannot be read: 1 (closed)" in caplog.text
