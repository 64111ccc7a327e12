"""Write and read files of torch.save with a hash that shows whether one is damaged.

Such a file is a zip archive. The SHA-256 of the archive is in its comment, at the end of the file. torch itself does
not even check the CRC-32 of the archive's members.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import struct
import zipfile
from pathlib import Path

import torch

from aligncat.errors import AligncatError
from aligncat.files.atomic import write_atomic
from aligncat.wording import first_line

_LABEL = b"aligncat sha256 "
_COMMENT = re.compile(_LABEL + rb"([0-9a-f]{64})")
_COMMENT_LENGTH = len(_LABEL) + 64
_NO_COMMENT = struct.pack("<H", 0)  # the last field of a zip archive, the length of its comment
TORCH_DAMAGE = (
    RuntimeError,
    AssertionError,
    struct.error,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ImportError,
    ArithmeticError,
    MemoryError,
    OSError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""What torch.load and zipfile raise for damaged files."""


def save_hashed(content: object, path: Path) -> None:
    """Write a file of torch.save atomically, with its hash. `torch.load` reads it too.

    Args:
        content: tensors and plain data.
        path: the file.

    Raises:
        WriteError: the file cannot be written. An existing file of that name is unchanged.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    end = buffer.seek(-len(_NO_COMMENT), io.SEEK_END)
    with buffer.getbuffer() as archive:  # no copy: a checkpoint may have gigabytes
        comment = _LABEL + hashlib.sha256(archive[:end]).hexdigest().encode()
    buffer.write(struct.pack("<H", len(comment)) + comment)
    write_atomic(path, buffer.getbuffer())


def load_hashed(path: Path, remedy: str, *, error: type[AligncatError]) -> object:
    """Read a file that `save_hashed` wrote, to the CPU. Only tensors and plain data are loaded.

    A file of an earlier version has no hash. Then the CRC-32 of each member is checked.

    Args:
        path: the file.
        remedy: which file to delete if this one is damaged, and what happens then.
        error: the class of the error to raise.

    Raises:
        AligncatError: of class `error`: the file is missing or damaged.
    """
    if not path.is_file():
        raise error(f"{path}: no such file; {remedy}")
    try:
        content = path.read_bytes()
        if (damage := _damage(content)) is not None:
            raise ValueError(damage)
        found: object = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except TORCH_DAMAGE as fault:
        raise error(f"{path}: damaged, or not written by aligncat ({first_line(fault)}); {remedy}") from fault
    return found


def _damage(content: bytes) -> str | None:
    """Return what is wrong with the bytes of a file, or None."""
    found = _COMMENT.fullmatch(content[-_COMMENT_LENGTH:])
    if found is not None:
        archive = content[: -_COMMENT_LENGTH - len(_NO_COMMENT)]
        return None if hashlib.sha256(archive).hexdigest().encode() == found[1] else "its hash differs from its content"
    with zipfile.ZipFile(io.BytesIO(content)) as members:
        name = members.testzip()
    return None if name is None else f"{name} has another CRC-32"
