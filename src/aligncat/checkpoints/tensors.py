"""Read the tensors of a checkpoint from an untrusted source, without running code from the file.

Files of torch.save are read with torch's weights_only loader. A detectron2 `.pkl` is a pickle of numpy arrays. It is
read with an unpickler that resolves names only to the stand-ins below. The first bytes of a file decide which of the
two it is, not its name.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
import torch
from torch import Tensor

from aligncat.errors import CheckpointError, DataError, UnsafePickleError
from aligncat.files.pickles import check_pickle_sizes
from aligncat.files.torch_files import TORCH_DAMAGE
from aligncat.wording import first_line

# torch.save writes a zip file; before torch 1.6, it wrote a pickle of this number first.
_ZIP = b"PK\x03\x04"
_TORCH = (_ZIP, pickle.dumps(0x1950A86A20F9469CFC6C, 2))
_GIT_LFS = b"version https://git-lfs.github.com/spec/"
_NUMBER_TYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")


class _PickledDtype:
    """A stand-in for numpy.dtype. A pickle gives its type code to the constructor and its byte order as state."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in _NUMBER_TYPES:
            raise ValueError(f"an array of {code!r}, which is not a type of number")
        self.code = str(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, order, *rest = state
        if version != 3 or order not in ("<", "|", ">") or rest != [None, None, None, -1, -1, 0]:
            raise ValueError("numbers of an unknown form")
        self.code = order + self.code

    def array(self, content: object, shape: object, fortran: object) -> np.ndarray[Any, Any]:
        if isinstance(content, str):  # Python 2 pickled bytes as text
            content = content.encode("latin-1")
        if not isinstance(content, bytes | bytearray) or not isinstance(shape, tuple):
            raise TypeError("an array that does not consist of bytes and a shape")
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(f"an array of shape {shape!r}")
        dtype = np.dtype(self.code)
        if len(content) != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{len(content)} bytes for an array of shape {shape!r}")
        return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


class _PickledArray:
    """A stand-in for a numpy array. A pickle constructs it empty and gives it its content as state."""

    content: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        version, shape, dtype, fortran, content = state
        if version != 1 or not isinstance(dtype, _PickledDtype) or not isinstance(fortran, bool | int):
            raise TypeError("an array of an unknown form")
        self.content = dtype.array(content, shape, fortran)


class _NdarrayClass:
    """A stand-in for the class numpy.ndarray, which pickles only pass to `_reconstruct`."""


def _reconstruct(kind: object, shape: object, code: object) -> _PickledArray:
    """Return an array without content, as the pickle of every array begins."""
    if kind is not _NdarrayClass or shape != (0,) or code not in (b"b", "b"):
        raise ValueError("an array that does not begin empty")
    return _PickledArray()


def _scalar(dtype: _PickledDtype, content: object) -> object:
    return dtype.array(content, (), False).item()


def _from_buffer(content: object, dtype: _PickledDtype, shape: object, order: str) -> _PickledArray:
    if order not in ("C", "F"):
        raise ValueError(f"an array in the unknown order {order!r:.20}")
    array = _PickledArray()
    array.content = dtype.array(content, shape, order == "F")
    return array


def _encode(text: str, _: str = "latin1") -> bytes:
    """Return bytes, which pickle protocol 2 writes as text to encode."""
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """Return bytes of length 0, which pickle protocol 2 writes as a call."""
    return b""


_STAND_INS: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("numpy", "ndarray"): _NdarrayClass,
    ("numpy", "dtype"): _PickledDtype,
}
for _module in ("numpy.core.", "numpy._core."):
    _STAND_INS[_module + "multiarray", "_reconstruct"] = _reconstruct
    _STAND_INS[_module + "multiarray", "scalar"] = _scalar
    _STAND_INS[_module + "numeric", "_frombuffer"] = _from_buffer


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can only build plain data and arrays of numbers."""

    def __init__(self, content: bytes, path: Path) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise UnsafePickleError(
                f"{self._path}: the pickle asks for {module}.{name}, which is neither plain data nor an array, so it "
                "was not loaded; get the file from a source you trust"
            ) from None

    def persistent_load(self, pid: object) -> object:
        raise UnsafePickleError(
            f"{self._path}: the pickle refers to an object outside the file, so it was not loaded; get the file from a "
            "source you trust"
        )


def read_tensors(path: Path, *within: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the tensors of a model from a checkpoint.

    Args:
        path: a detectron2 pickle of arrays, or a file of torch.save.
        within: keys that can contain the tensors, such as "model"; the first one in the file is used. If the file has
            none of them, the whole file must be the tensors.

    Returns:
        The tensors by name, and the other keys of the file, such as "optimizer".

    Raises:
        UnsafePickleError: the file would run code when loaded; nothing was run.
        CheckpointError: the file is missing, damaged or a Git LFS pointer, or does not contain named tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give a checkpoint (.pkl or .pth)")
    with path.open("rb") as file:
        start = file.read(len(_GIT_LFS))
    if start == _GIT_LFS:
        raise CheckpointError(
            f"{path}: a Git LFS pointer, not the checkpoint itself; run `git lfs pull` in its repository, or download "
            "the file from the repository's page"
        )
    try:
        is_torch, is_zip = start.startswith(_TORCH), start.startswith(_ZIP)
        document = _read_torch(path, mapped=is_zip) if is_torch else _read_pickle(path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from error
    state: object = document
    other_keys: tuple[str, ...] = ()
    if isinstance(document, Mapping) and (key := next((key for key in within if key in document), None)):
        state, other_keys = document[key], tuple(str(name) for name in document if name != key)
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(f"{path}: contains no named tensors; give the checkpoint of a model")
    return {str(name): _tensor(name, value, path) for name, value in state.items()}, other_keys


def _read_pickle(path: Path) -> object:
    content = path.read_bytes()
    try:
        check_pickle_sizes(content, path)
        return _ArrayUnpickler(content, path).load()
    except UnsafePickleError:
        raise
    except (
        DataError,
        *TORCH_DAMAGE,
    ) as error:  # a damaged pickle can fail at any opcode, with any of these errors
        raise CheckpointError(
            f"{path}: damaged, or neither a torch.save file nor a pickle of arrays ({error}); download the file again"
        ) from error


def _read_torch(path: Path, *, mapped: bool) -> object:
    """Read a file of torch.save.

    Args:
        path: the file.
        mapped: whether the tensors are views of the file, which cannot claim more than it holds. Files from before
            torch 1.6 do not allow that; their reader compares each size.
    """
    try:
        if mapped:
            _check_records(path)
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        if "Unsupported" not in str(error) and "GLOBAL" not in str(error):
            raise CheckpointError(f"{path}: damaged, or not a torch checkpoint; download the file again") from error
        raise UnsafePickleError(
            f"{path}: asks for more than tensors and plain data, so it was not loaded; get the file from a source you "
            "trust, or load it in the program that made it and save only its state_dict()"
        ) from error
    except TORCH_DAMAGE as error:
        raise CheckpointError(
            f"{path}: damaged, or not a torch checkpoint ({first_line(error)}); download the file again"
        ) from error


def _check_records(path: Path) -> None:
    """Check that a zip file is as torch.save writes it: every record intact, and none compressed.

    torch does not compare the checksums of tensors, and unpacks compressed records without a limit.
    """
    with ZipFile(path) as archive:
        for record in archive.infolist():
            if record.compress_type != ZIP_STORED or record.file_size != record.compress_size:
                raise BadZipFile(f"{record.filename} is compressed, which torch.save does not do")
        if (damaged := archive.testzip()) is not None:
            raise BadZipFile(f"the checksum of {damaged} is wrong")


def _tensor(name: object, value: object, path: Path) -> Tensor:
    if isinstance(value, _PickledArray) and value.content is not None:
        array = value.content
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    if not isinstance(value, Tensor):
        raise CheckpointError(
            f"{path}: {name!r:.100} is not a tensor but {type(value).__name__}; give the checkpoint of a model"
        )
    if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.device.type != "cpu":
        raise CheckpointError(f"{path}: {name!r:.100} is not a plain array of numbers; give the checkpoint of a model")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(f"{path}: {name!r:.100} has fewer numbers than its shape says; download the file again")
    return value.detach()
