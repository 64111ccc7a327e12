"""The candidates of many images, from which batches are gathered: in memory, or in a file if they are too many."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import StoreError
from aligncat.locations import Location

if TYPE_CHECKING:
    from torch import Tensor

SHARE_OF_MEMORY = 0.5
"""The candidates are kept in memory if they take at most this share of the memory that is free."""
_SMALLER: dict[str, Any] = {"categories": np.int32}


class CandidateRows(Protocol):
    """The candidates of n images. All kinds of rows give the same values."""

    @property
    def confidences(self) -> NDArray[np.float32]:
        """The confidences, (n, O) float32; 0 where there is no candidate."""

    def gather(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the arrays of some images by name.

        Args:
            images: (B,) int64, the numbers of the images; a number may occur more than once.
        """


class RowsInMemory:
    """Rows in memory.

    Args:
        tensors: the arrays of n images by name, "confidences" among them.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    @property
    def confidences(self) -> NDArray[np.float32]:
        """The confidences, (n, O). Like all tensors, another process gets them in shared memory."""
        return self._tensors["confidences"].numpy()

    def gather(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the arrays of some images by name."""
        return {name: tensor[images] for name, tensor in self._tensors.items()}


class RowsInFile:
    """Rows in a temporary file with one record per image, so that a batch reads what it needs and nothing else.

    The file has no name, so it is gone with the process, however that ends. Records are read and not mapped: a mapped
    page counts as memory of the process until the system takes it back, and a limit of the address space would count
    all of them.

    Args:
        shapes: the type and the shape of each array for one image; see `array_shapes`.
        parts: the numbers of images with the values of all their arrays. Together, they are all n images.
        count: n.
        folder: the folder of the file.

    Raises:
        StoreError: the file cannot be written, for instance because the disk is full.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[Any, tuple[int, ...]]],
        parts: Iterable[tuple[NDArray[np.intp], Mapping[str, NDArray[Any]]]],
        count: int,
        folder: Path,
    ) -> None:
        self._type = record_type(shapes)
        self._kinds = {name: kind for name, (kind, _) in shapes.items()}
        self._records = np.zeros(count, np.int64)
        self.confidences = np.zeros((count, *shapes["confidences"][1]), np.float32)
        try:
            # One of its own buffer size would copy every record twice.
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # as long as this
            self._write(parts)
        except OSError as error:
            size = self._type.itemsize * count
            raise StoreError(
                f"{folder}: cannot write a temporary file of {size / 2**30:.1f} GiB for candidates that do not fit in "
                f"memory ({error.strerror}); free some disk space, or set TMPDIR to a folder on another disk"
            ) from error

    def _write(self, parts: Iterable[tuple[NDArray[np.intp], Mapping[str, NDArray[Any]]]]) -> None:
        written = 0
        for numbers, values in parts:
            records = np.zeros(len(numbers), self._type)
            for name in self._kinds:
                records[name] = values[name]
            rest = records.view(np.uint8).data
            while rest:
                rest = rest[self._file.write(rest) :]
            self._records[numbers] = written + np.arange(len(numbers))
            self.confidences[numbers] = values["confidences"]
            written += len(numbers)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that another process receives: it reads the same file."""
        from multiprocessing.reduction import DupFd  # Windows has none

        return {**self.__dict__, "_file": DupFd(self._file.fileno())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _file=os.fdopen(state["_file"].detach(), "rb", buffering=0))

    def gather(self, images: Tensor) -> Mapping[str, Tensor]:
        """Return the arrays of some images by name."""
        import torch

        found = np.empty(len(images), self._type)
        content, size = found.view(np.uint8).data, self._type.itemsize
        for place, record in enumerate(self._records[images.numpy()].tolist()):
            if os.preadv(self._file.fileno(), [content[place * size : (place + 1) * size]], record * size) != size:
                raise StoreError("the temporary file of candidates was cut; is its disk full or gone? Start again")
        return {name: torch.from_numpy(np.array(found[name], kind, order="C")) for name, kind in self._kinds.items()}


def record_type(shapes: Mapping[str, tuple[Any, tuple[int, ...]]]) -> np.dtype[np.void]:
    """Return the type of one image's record."""
    return np.dtype([(name, _SMALLER.get(name, kind), shape) for name, (kind, shape) in shapes.items()])


def temporary_folder(store: Location) -> Path:
    """Return the folder of temporary files: TMPDIR if it is set, else the store's folder if it can be written.

    The usual /tmp is the last choice, because it often lies in memory.
    """
    if os.environ.get("TMPDIR"):
        return Path(tempfile.gettempdir())
    if isinstance(store, Path) and os.access(store, os.W_OK):
        return store
    return Path(tempfile.gettempdir())
