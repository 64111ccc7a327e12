"""Extraction from untrusted archives: the annotation files come out, and nothing else is written."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from aligncat.datasets.prepare.archive import unpack_annotations
from aligncat.errors import DataError

REFS, INSTANCES = b"the refs", b'{"images": []}'
GOOD = {"refcoco/refs(unc).p": REFS, "refcoco/refs(google).p": REFS, "refcoco/instances.json": INSTANCES}


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tape:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tape.addfile(info, io.BytesIO(content))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar", "no suffix"])
@pytest.mark.parametrize(
    "members",
    [
        GOOD,
        {name.removeprefix("refcoco/"): content for name, content in GOOD.items()},
        {"data/" + name: content for name, content in GOOD.items()},
        {"my copy/" + name.removeprefix("refcoco/"): content for name, content in GOOD.items()},
        {**GOOD, "refcoco+/refs(unc).p": b"others", "refcoco+/instances.json": b"others"},
        {**GOOD, "__MACOSX/refcoco/._instances.json": b"mac", "refcoco/.DS_Store": b"", "refcoco/readme.txt": b"hello"},
    ],
)
def test_the_annotation_files_are_found_in_any_folder(tmp_path: Path, name: str, members: dict[str, bytes]) -> None:
    write: Callable[[Path, dict[str, bytes]], Path] = write_tar if ".tar" in name else write_zip
    files = unpack_annotations(write(tmp_path / name, members), "refcoco", tmp_path / "out" / "refcoco")
    assert files == ("instances.json", "refs(google).p", "refs(unc).p")
    assert contents(tmp_path / "out") == GOOD


def test_existing_annotation_files_are_replaced_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "refcoco").mkdir()
    (tmp_path / "refcoco" / "instances.json").write_text("old")
    (tmp_path / "refcoco" / "notes.txt").write_text("mine")
    unpack_annotations(write_zip(tmp_path / "a.zip", GOOD), "refcoco", tmp_path / "refcoco")
    assert contents(tmp_path / "refcoco") == {Path(name).name: text for name, text in GOOD.items()} | {
        "notes.txt": b"mine"
    }


def zip_with_outside_path(name: str) -> Callable[[Path], None]:
    return lambda path: (write_zip(path, {**GOOD, name: b"outside"}), None)[1]


def tar_with_outside_path(path: Path) -> None:
    write_tar(path, {**GOOD, "refcoco/../../../refs(evil).p": b"outside"})


def zip_with_link(path: Path) -> None:
    write_zip(path, GOOD)
    with zipfile.ZipFile(path, "a") as packed:
        info = zipfile.ZipInfo("refcoco/refs(umd).p")
        info.create_system = 3
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc/passwd")


def tar_with(kind: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with tarfile.open(path, "w") as tape:
            info = tarfile.TarInfo("refcoco/instances.json")
            info.type, info.linkname = kind, "/etc/passwd"
            tape.addfile(info)

    return write


def zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        with packed.open("refcoco/instances.json", "w") as member:
            for _ in range(66):
                member.write(bytes(2**20))
        packed.writestr("refcoco/refs(unc).p", REFS)


def zip_that_lies_about_its_size(path: Path) -> None:
    """A zip bomb whose directory claims that the member has 100 bytes."""
    zip_bomb(path)
    data = path.read_bytes()
    size = (66 * 2**20).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(data.replace(size, (100).to_bytes(4, "little")))


def tar_bomb_in_an_unneeded_member(path: Path) -> None:
    with tarfile.open(path, "w:gz", compresslevel=1) as tape:
        info = tarfile.TarInfo("refcoco/readme.txt")
        info.size = 66 * 2**20
        tape.addfile(info, io.BytesIO(bytes(info.size)))


def tar_bomb_in_a_header(path: Path) -> None:
    """An extended header that claims 8 GB, which tarfile would read into memory."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8 * 2**30 - 1
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(70):
            file.write(bytes(2**20))


def tar_with_holes(path: Path) -> None:
    """A GNU sparse file: 1 byte in the archive, 4 GB when unpacked."""
    info = tarfile.TarInfo("refcoco/instances.json")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\x0000000001000\x00"  # one piece: 512 bytes at 0
    header[483:495] = b"40000000000\x00"  # real size
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    path.write_bytes(bytes(header) + bytes(512) + bytes(1024))


def encrypted_zip(path: Path) -> None:
    write_zip(path, GOOD)
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)


def bzip2_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("refcoco/instances.json", INSTANCES)


def damaged_zip(path: Path) -> None:
    write_zip(path, {"refcoco/instances.json": bytes(range(256)) * 40})
    data = bytearray(path.read_bytes())
    data[100] ^= 0xFF
    path.write_bytes(data)


def truncated(write: Callable[[Path, dict[str, bytes]], Path]) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        write(path.with_name("whole.tar.gz"), GOOD).rename(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return cut


def page(path: Path) -> None:
    path.write_text("<!DOCTYPE html><title>Not found</title>")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (zip_with_outside_path("../refs(unc).p"), "has a path outside the archive"),
        (zip_with_outside_path("refcoco/../../../refs(evil).p"), "has a path outside the archive"),
        (zip_with_outside_path("/tmp/refs(evil).p"), "has a path outside the archive"),
        (zip_with_outside_path("..\\refs(evil).p"), "has a path outside the archive"),
        (zip_with_outside_path("C:\\refs(evil).p"), "has a path outside the archive"),
        (tar_with_outside_path, "has a path outside the archive"),
        (zip_with_link, "is not a regular file or folder"),
        (tar_with(tarfile.SYMTYPE), "is not a regular file or folder"),
        (tar_with(tarfile.LNKTYPE), "is not a regular file or folder"),
        (tar_with(tarfile.FIFOTYPE), "is not a regular file or folder"),
        (tar_with(tarfile.CHRTYPE), "is not a regular file or folder"),
        (tar_with_holes, "is not a regular file or folder"),
        (zip_bomb, "unpacks to far more"),
        (zip_that_lies_about_its_size, "unpacks to far more|damaged"),
        (tar_bomb_in_an_unneeded_member, "unpacks to far more"),
        (tar_bomb_in_a_header, "unpacks to far more"),
        (bzip2_zip, "rare compression"),
        (
            lambda path: write_zip(path, {"refcoco+/instances.json": b"", "refcoco+/refs(unc).p": b""}),
            r"of refcoco, only of refcoco\+",
        ),
        (encrypted_zip, "is encrypted"),
        (damaged_zip, "damaged"),
        (truncated(write_zip), "damaged or truncated"),
        (truncated(write_tar), "damaged"),
        (page, "not a zip, tar or tar.gz archive: it begins with b'<!DOCTYPE html>"),
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), "begins with b''"),
        (lambda path: write_zip(path, {}), r"has no refs\(\*\.p\) and instances\.json"),
        (lambda path: write_zip(path, {"refcoco/refs.p": REFS}), r"has no refs\(\*\.p\)"),
        (
            lambda path: write_zip(path, {"refcoco+/instances.json": b"", "refcocog/instances.json": b""}),
            r"of refcoco, only of refcoco\+, refcocog",
        ),
        (
            lambda path: write_zip(path, {"a/refcoco/refs(unc).p": b"1", "b/refcoco/refs(unc).p": b"2"}),
            r"has refs\(unc\)\.p of refcoco twice",
        ),
    ],
)
def test_a_bad_archive_is_an_error_and_leaves_nothing_behind(
    tmp_path: Path, write: Callable[[Path], object], message: str
) -> None:
    archive = tmp_path / "in" / "archive"
    archive.parent.mkdir()
    write(archive)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=message) as raised:
        unpack_annotations(archive, "refcoco", tmp_path / "out" / "refcoco")
    assert str(archive) in str(raised.value)
    assert contents(tmp_path) == before


def test_a_bad_archive_leaves_existing_files_unchanged(tmp_path: Path) -> None:
    unpack_annotations(write_zip(tmp_path / "good.zip", GOOD), "refcoco", tmp_path / "out" / "refcoco")
    zip_bomb(tmp_path / "bad.zip")
    with pytest.raises(DataError, match="unpacks to far more"):
        unpack_annotations(tmp_path / "bad.zip", "refcoco", tmp_path / "out" / "refcoco")
    assert contents(tmp_path / "out") == GOOD
