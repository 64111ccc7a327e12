"""Files of torch.save with a hash in the zip archive's comment."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
import torch

from aligncat.errors import ConfigError
from aligncat.files.torch_files import load_hashed, save_hashed

CONTENT = {"weights": torch.arange(1000.0), "epoch": 3, "names": ["a", "b"]}


def test_the_file_is_that_of_torch_with_its_hash_as_the_comment(tmp_path: Path) -> None:
    save_hashed(CONTENT, tmp_path / "file")
    buffer = io.BytesIO()
    torch.save(CONTENT, buffer)
    plain, found = buffer.getvalue(), (tmp_path / "file").read_bytes()
    assert plain[-2:] == b"\0\0", "the length of the comment that torch leaves out"
    assert found[: len(plain) - 2] == plain[:-2]
    with zipfile.ZipFile(tmp_path / "file") as archive:
        assert archive.testzip() is None
        assert archive.comment.decode() == f"aligncat sha256 {hashlib.sha256(plain[:-2]).hexdigest()}"
    for read in (torch.load(tmp_path / "file"), load_hashed(tmp_path / "file", "-", error=ConfigError)):
        assert isinstance(read, dict) and (read["epoch"], read["names"]) == (3, ["a", "b"])
        assert torch.equal(read["weights"], CONTENT["weights"])


@pytest.mark.parametrize("place", [100, -200, -1])
def test_a_changed_byte_is_damage(place: int, tmp_path: Path) -> None:
    save_hashed(CONTENT, tmp_path / "file")
    content = bytearray((tmp_path / "file").read_bytes())
    content[place] ^= 1
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ConfigError, match=r"damaged, or not written by aligncat .*; delete it"):
        load_hashed(tmp_path / "file", "delete it", error=ConfigError)
