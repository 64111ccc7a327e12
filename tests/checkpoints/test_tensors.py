"""Reading checkpoint files as data, without running code, and the errors of damaged files."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
import torch
from torch import Tensor

from aligncat.checkpoints.tensors import read_tensors
from aligncat.errors import AligncatError, CheckpointError, UnsafePickleError

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    "swapped": np.arange(3, dtype=">f4"),
    "half": np.ones(2, np.float16),
    "index": np.arange(4, dtype=np.int64),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.array(7, np.int64),
}


class Exploit:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def write(path: Path, value: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_a_pickle_become_equal_tensors(tmp_path: Path, protocol: int) -> None:
    document = {"model": OrderedDict(ARRAYS), "__author__": "somebody", "matching_heuristics": True}
    tensors, other_keys = read_tensors(write(tmp_path / "model.pkl", document, protocol), "model")
    assert other_keys == ("__author__", "matching_heuristics")
    assert tensors.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert tensors[name].shape == array.shape
        assert np.array_equal(tensors[name].numpy(), array), name


@pytest.mark.parametrize("document", [{"model": {"a": torch.ones(2)}, "iteration": 5}, {"a": torch.ones(2)}])
def test_the_tensors_of_a_torch_file_are_returned(tmp_path: Path, document: dict[str, Any]) -> None:
    torch.save(document, tmp_path / "model.pth")
    tensors, other_keys = read_tensors(tmp_path / "model.pth", "model")
    assert torch.equal(tensors["a"], torch.ones(2))
    assert other_keys == (("iteration",) if "model" in document else ())


@pytest.mark.parametrize("name", ["model.pkl", "model.pth", "model_final"])
@pytest.mark.parametrize("kind", ["arrays", "torch", "torch before 1.6"])
def test_the_file_type_is_determined_by_content_and_not_by_name(tmp_path: Path, name: str, kind: str) -> None:
    path, state = tmp_path / name, {"model": {"a": torch.ones(2)}}
    if kind == "arrays":
        write(path, {"model": {"a": np.ones(2, np.float32)}})
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "torch")
    assert torch.equal(read_tensors(path, "model")[0]["a"], torch.ones(2))


def rewritten(path: Path, change: Any, compression: int = ZIP_STORED) -> None:
    """Write a torch file's records again, with right checksums: `change` gets the name and the content of each."""
    with ZipFile(path) as archive:
        records = [(record.filename, archive.read(record)) for record in archive.infolist()]
    with ZipFile(path, "w", compression) as archive:
        for name, content in records:
            archive.writestr(name, change(name, content))


def test_a_shape_that_claims_more_numbers_than_the_file_has_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"a": torch.arange(6.0).reshape(2, 3)}, path)
    claimed = b"K\x02K\x03\x86"  # the shape as a pickle: two small integers and a tuple
    rewritten(path, lambda name, content: content.replace(claimed, b"M\xff\xffK\x03\x86"))
    with pytest.raises(CheckpointError, match=r"model\.pth: damaged"):
        read_tensors(path)


def test_compressed_records_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"a": torch.zeros(10**6)}, path)
    rewritten(path, lambda name, content: content, ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    with pytest.raises(CheckpointError, match=r"compressed, which torch\.save does not do"):
        read_tensors(path)


def test_every_flipped_byte_of_a_torch_file_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"a": torch.arange(4.0)}, path)
    content = path.read_bytes()
    for place in range(0, len(content), 11):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            tensors, _ = read_tensors(path)
        except (CheckpointError, UnsafePickleError):
            continue
        assert list(tensors) == ["a"] and torch.equal(tensors["a"], torch.arange(4.0))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(1).expand(10**12),
        torch.eye(3).to_sparse(),
        torch.ones(2, dtype=torch.complex64),
        torch.ones(2, device="meta"),
    ],
    ids=["expanded", "sparse", "complex", "meta"],
)
def test_tensors_without_plain_numbers_are_refused(tmp_path: Path, tensor: Tensor) -> None:
    torch.save({"a": tensor}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=r"model\.pth: (damaged|'a')"):
        read_tensors(tmp_path / "model.pth")


@pytest.mark.parametrize("name", ["model.pkl", "model.pth"])
def test_the_error_of_a_git_lfs_pointer_has_a_remedy(tmp_path: Path, name: str) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 866\n"
    (tmp_path / name).write_text(pointer)
    with pytest.raises(CheckpointError, match=rf"{name}: a Git LFS pointer.*git lfs pull"):
        read_tensors(tmp_path / name, "model")


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
@pytest.mark.parametrize("wrap", [lambda bad: bad, lambda bad: {"model": {"a": bad}}])
def test_no_code_in_a_pickle_is_run(tmp_path: Path, suffix: str, wrap: Any) -> None:
    path, trace = tmp_path / f"model{suffix}", tmp_path / "trace"
    if suffix == ".pkl":
        write(path, wrap(Exploit(trace)))
    else:
        torch.save(wrap(Exploit(trace)), path)
    with pytest.raises(UnsafePickleError, match=r"model\.p.*was not loaded"):
        read_tensors(path, "model")
    assert not trace.exists()


@pytest.mark.parametrize("name", ["numpy.core.multiarray fromfile", "numpy load", "torch load", "builtins eval"])
def test_other_functions_of_numpy_and_torch_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\nU\x01x\x85R.")
    with pytest.raises(UnsafePickleError, match=name.replace(" ", r"\.")):
        read_tensors(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"model": {"a": np.array([{}, None], dtype=object)}}, "an array of 'O8'"),
        ({"model": {"a": np.array(["x"])}}, "an array of 'U1'"),
        ({"model": {"a": [1.0, 2.0]}}, "'a' is not a tensor but list"),
        ({"model": [1]}, "contains no named tensors"),
        ({"model": {}}, "contains no named tensors"),
        (7, "contains no named tensors"),
    ],
)
def test_a_pickle_without_tensors_is_an_error(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_tensors(write(tmp_path / "model.pkl", value), "model")


def test_an_array_with_fewer_bytes_than_its_shape_needs_is_an_error(tmp_path: Path) -> None:
    content = pickle.dumps({"a": np.arange(6, dtype=np.float32).reshape(2, 3)}, 4)
    assert content.count(b"K\x02K\x03\x86") == 1
    (tmp_path / "model.pkl").write_bytes(content.replace(b"K\x02K\x03\x86", b"K\x02K\xff\x86"))
    with pytest.raises(CheckpointError, match=r"24 bytes for an array of shape \(2, 255\)"):
        read_tensors(tmp_path / "model.pkl")


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_a_damaged_file_is_an_error_wherever_it_breaks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    if suffix == ".pkl":
        write(path, {"model": ARRAYS})
    else:
        torch.save({"model": {"a": torch.ones(30)}}, path)
    content = path.read_bytes()
    for end in range(0, len(content) - 1, max(1, len(content) // 40)):
        path.write_bytes(content[:end])
        with pytest.raises(CheckpointError, match="damaged"):
            read_tensors(path, "model")


def test_a_randomly_changed_pickle_gives_tensors_or_an_aligncat_error(tmp_path: Path) -> None:
    content = pickle.dumps({"model": ARRAYS}, 2)
    generator = np.random.default_rng(0)
    path = tmp_path / "model.pkl"
    for _ in range(300):
        changed = bytearray(content)
        for place in generator.integers(0, len(changed), 3):
            changed[place] = generator.integers(256)
        path.write_bytes(changed)
        try:
            tensors, _ = read_tensors(path, "model")
        except AligncatError:
            continue
        assert all(isinstance(tensor, Tensor) for tensor in tensors.values())


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.pkl: no such file"):
        read_tensors(tmp_path / "nothing.pkl")
