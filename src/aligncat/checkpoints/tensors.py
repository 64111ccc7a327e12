"""Read the tensors of somebody's checkpoint; nothing in the file can run code.

What torch saved goes through torch's own loader of plain tensors. A `.pkl` of detectron2 is a pickle of numpy arrays,
which ours reads without numpy's: names in it resolve to the stand-ins below and to nothing else. Which of the two a
file is, its first bytes say, whatever it is called.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aligncat.errors import CheckpointError, DataError, UnsafePickleError
from aligncat.files.pickles import check_pickle_sizes

_TORCH = (b"PK\x03\x04", pickle.dumps(0x1950A86A20F9469CFC6C, 2))  # a zip; before torch 1.6 a pickle of this number
_LFS = b"version https://git-lfs.github.com/spec/"
_KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")


class _Kind:
    """What numpy pickles of a dtype: its code when made, its byte order as state."""

    def __init__(self, code: object, *_: object) -> None:
        if code not in _KINDS:
            raise ValueError(f"an array of {code!r}, which is no number")
        self.code = str(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", "|", ">"):
            raise ValueError(f"a byte order of {state[1]!r}")
        self.code = state[1] + self.code

    def array(self, content: object, shape: object, fortran: object) -> np.ndarray[Any, Any]:
        if isinstance(content, str):  # Python 2 pickled bytes as text
            content = content.encode("latin-1")
        if not isinstance(content, bytes | bytearray) or not isinstance(shape, tuple):
            raise TypeError("an array that is not bytes and a shape")
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(f"an array of shape {shape!r}")
        kind = np.dtype(self.code)
        if len(content) != math.prod(shape) * kind.itemsize:
            raise ValueError(f"{len(content)} bytes for an array of shape {shape!r}")
        return np.frombuffer(content, kind).reshape(shape, order="F" if fortran else "C")


class _Array:
    """What numpy pickles of an array: it is made empty, and given its content as state."""

    content: np.ndarray[Any, Any] | None = None

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _Kind):
            raise TypeError("an array without a kind")
        self.content = kind.array(content, shape, fortran)


class _ArrayClass:
    """numpy.ndarray, which a pickle only hands to `_reconstruct`."""


def _scalar(kind: _Kind, content: object) -> object:
    return kind.array(content, (), False).item()


def _from_buffer(content: object, kind: _Kind, shape: object, order: str) -> _Array:
    array = _Array()
    array.content = kind.array(content, shape, order == "F")
    return array


def _encode(text: str, _: str = "latin1") -> bytes:
    """How protocol 2 spells bytes."""
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """How protocol 2 spells bytes of length 0."""
    return b""


_STAND_INS: dict[tuple[str, str], object] = {
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _no_bytes,
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _Kind,
}
for _module in ("numpy.core.", "numpy._core."):
    _STAND_INS[_module + "multiarray", "_reconstruct"] = _Array
    _STAND_INS[_module + "multiarray", "scalar"] = _scalar
    _STAND_INS[_module + "numeric", "_frombuffer"] = _from_buffer


class _ArrayUnpickler(pickle.Unpickler):
    """An unpickler that can build plain data and arrays of numbers, and nothing else."""

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
        raise UnsafePickleError(f"{self._path}: the pickle refers to an object outside itself, so it was not loaded")


def read_tensors(path: Path, *within: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Read the state of a model from a checkpoint.

    Args:
        path: a pickle of detectron2 (arrays), or a file of torch.save.
        within: under which of these keys the state may be, such as "model"; else it is the whole file.

    Returns:
        The tensors by name, and the names of what else is in the file, such as "optimizer".

    Raises:
        UnsafePickleError: reading it would have meant running code; none was run.
        CheckpointError: there is no such file, it is damaged or a pointer of Git LFS, or it holds something other than
            named tensors.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give a checkpoint (.pkl or .pth)")
    with path.open("rb") as file:
        start = file.read(len(_LFS))
    if start == _LFS:
        raise CheckpointError(
            f"{path}: a pointer of Git LFS, not the checkpoint itself: run `git lfs pull` in its repository, or "
            "download the file from the repository's page"
        )
    document = _read_torch(path) if start.startswith(_TORCH) else _read_pickle(path)
    state: object = document
    beside: tuple[str, ...] = ()
    if isinstance(document, Mapping) and (key := next((key for key in within if key in document), None)):
        state, beside = document[key], tuple(str(name) for name in document if name != key)
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(f"{path}: holds no state of a model, which is a dict of names and tensors")
    return {str(name): _tensor(name, value, path) for name, value in state.items()}, beside


def _read_pickle(path: Path) -> object:
    content = path.read_bytes()
    try:
        check_pickle_sizes(content, path)
        return _ArrayUnpickler(content, path).load()
    except UnsafePickleError:
        raise
    except (
        DataError,
        pickle.UnpicklingError,
        EOFError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:  # a damaged stream fails at whichever opcode comes next, with any of these
        raise CheckpointError(
            f"{path}: damaged, or neither a file of torch.save nor a pickle of arrays ({error}); get the file again"
        ) from error


def _read_torch(path: Path) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" not in str(error) and "GLOBAL" not in str(error):
            raise CheckpointError(f"{path}: damaged, or not a checkpoint of torch; get the file again") from error
        raise UnsafePickleError(
            f"{path}: asks for more than tensors and plain data, so it was not loaded; get it from a source you trust, "
            "or load it there and save its state_dict() alone"
        ) from error
    except (RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: damaged, or not a checkpoint of torch; get the file again") from error


def _tensor(name: object, value: object, path: Path) -> Tensor:
    if isinstance(value, _Array) and value.content is not None:
        array = value.content
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))
    if isinstance(value, Tensor):
        return value
    raise CheckpointError(f"{path}: {name!r} is no tensor but {type(value).__name__}; give a checkpoint of a model")
