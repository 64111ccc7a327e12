"""Images that a caller gives: files, bytes, PIL images or numpy arrays, as 8-bit RGB."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aligncat.errors import ImageError
from aligncat.files.images import check_size, decode_image, read_image, to_rgb
from aligncat.locations import RemotePath
from aligncat.wording import first_line

ImageInput: TypeAlias = "str | Path | RemotePath | BinaryIO | bytes | Image.Image | NDArray[np.uint8]"
"""An image file (path, open file or content), a PIL image, or a numpy array."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/|data:", re.IGNORECASE)  # Path makes one slash of two
_ARRAYS = "an array must be uint8, (height, width, 3) in RGB or (height, width) in grey"
# Pillow decodes a PIL image of a file at its first use and then changes the object, so threads that share one must not
# do that at the same time.
_LOCK = threading.Lock()


def as_rgb(image: ImageInput) -> Image.Image:
    """Return an image as 8-bit RGB, converted as by `read_image`.

    Args:
        image: an image file (path, file open for reading bytes, or its content), a PIL image, or a numpy array of
            uint8: (height, width, 3) in RGB, not OpenCV's BGR, or (height, width) in grey.

    Raises:
        ImageError: the image cannot be read, is empty or too large, or is of another type or shape.
    """
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, str | Path):
        return read_image(image_path(image))
    if isinstance(image, RemotePath):
        return _from_remote(image)
    if isinstance(image, bytes | bytearray):
        return decode_image(io.BytesIO(image), "the image")
    if hasattr(image, "read"):
        return _from_file(image)
    hint = ""
    if type(image).__module__.split(".")[0] == "torch":
        hint = "; for a tensor of uint8, (3, height, width), give tensor.permute(1, 2, 0).cpu().numpy()"
    raise ImageError(
        f"an image of type {type(image).__name__} cannot be used; give a file, its bytes, a PIL image or a numpy array"
        f"{hint}"
    )


def image_path(image: str | Path) -> Path:
    """Return the path of an image that is given as one.

    Raises:
        ImageError: it is a URL.
    """
    if _URL.match(str(image)):
        raise ImageError(f"{image}: is a URL, and nothing is downloaded; download the image and give its file")
    return Path(image)


def _from_remote(path: RemotePath) -> Image.Image:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: the image cannot be read ({error.strerror})") from error
    return decode_image(io.BytesIO(content), str(path))


def _from_pil(image: Image.Image) -> Image.Image:
    check_size(image.size, "the image")
    try:
        with _LOCK:
            image.load()
            return to_rgb(image)
    except Exception as error:  # Pillow's decoders raise about anything for a damaged file; see `open_header`
        raise ImageError(f"the image cannot be used: {first_line(error)}") from error


def _from_array(array: NDArray[np.generic]) -> Image.Image:
    if array.dtype != np.uint8:
        hint = "; multiply values from 0 to 1 by 255 and round them" if array.dtype.kind == "f" else ""
        raise ImageError(f"the image is an array of {array.dtype}; {_ARRAYS}{hint}")
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] != 3):
        first = array.ndim == 3 and array.shape[0] == 3
        hint = "; array.transpose(1, 2, 0) puts the channels last" if first else ""
        raise ImageError(f"the image is an array of shape {array.shape}; {_ARRAYS}{hint}")
    height, width = array.shape[:2]
    check_size((width, height), "the image")
    return Image.fromarray(np.ascontiguousarray(array, np.uint8)).convert("RGB")


def _from_file(file: BinaryIO) -> Image.Image:
    try:
        content = file.read()
    except (OSError, ValueError) as error:  # ValueError: the file is closed, or text that is not UTF-8
        raise ImageError(f"the image's file cannot be read ({first_line(error)})") from error
    if not isinstance(content, bytes):
        raise ImageError("the image's file is open as text; open it for reading bytes (mode 'rb')")
    name = getattr(file, "name", None)
    return decode_image(io.BytesIO(content), name if isinstance(name, str) else "the image")
