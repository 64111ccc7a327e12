"""A folder that cannot be written is an error before the work, and the check leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aligncat.cli import main
from aligncat.errors import ConfigError
from aligncat.files.writable import check_writable


@pytest.mark.parametrize("below", [".", "new", "new/deep/er"])
def test_a_folder_that_can_be_written_is_not_created(below: str, tmp_path: Path) -> None:
    check_writable(tmp_path / below)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["file", "file/new", "file/new/er"])
def test_a_file_in_the_way_is_named(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"cannot be written, because .*/file is a file"):
        check_writable(tmp_path / below)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not stop root")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match=r"cannot be written \(permission denied\)"):
        check_writable(tmp_path / "new")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder in which nobody can write")
def test_a_file_system_that_refuses_files_is_named() -> None:
    with pytest.raises(ConfigError, match=r"/proc/self/new: cannot be written \("):
        check_writable("/proc/self/new")


DATA = ["--data.path", ".", "--data.dataset", "refcoco"]


@pytest.mark.parametrize(
    "words",
    [
        ["quickstart", "--out", "file/x"],
        ["data", "mojiref", "--out", "file/x"],
        ["data", "prepare", "refcoco", "--out", "file/x"],
        ["data", "check", *DATA, "--missing", "file/x"],
        ["data", "convert", *DATA, "--to", "jsonl", "--out", "file/x"],
        ["extract", "--images", ".", "--out", "file/x"],
        ["train", *DATA, "--store", ".", "--out", "file/x"],
        ["evaluate", "--grounder", ".", *DATA, "--store", ".", "--out", "file/x"],
        ["ablate", "table3", *DATA, "--store", ".", "--out", "file/x"],
        ["report", ".", "--out", "file/x"],
        ["audit", "--detector_images", "coco-train2017", *DATA, "--out", "file/x"],
        ["import", "querymatch", "file", "file/x", "--annotations", "file"],
        ["detector", "import", "file", "file/x", "--config", "swin-tiny"],
        ["detector", "train", "--data", "file", "--images", ".", "--out", "file/x"],
        ["detector", "train-mini", "--out", "file/x"],
    ],
    ids=" ".join,
)
def test_every_verb_checks_its_output_before_the_work(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    [line] = capsys.readouterr().err.splitlines()
    # In the verbs that import, the lock of the folder is refused first.
    assert "file/x: cannot be written" in line or f"because {tmp_path / 'file'} is a file" in line
