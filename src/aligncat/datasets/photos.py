"""The photos in a folder, and the size of a photo."""

from __future__ import annotations

import logging
import os
from base64 import b64decode
from collections import defaultdict
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from aligncat.errors import DataError, ImageError
from aligncat.files.images import FORMATS, open_file, open_header, stored_size
from aligncat.locations import RemotePath
from aligncat.types import ImageRecord

_EXIF_ORIENTATION = 0x0112
_FIRST_SIDEWAYS_ORIENTATION = 5
_URL_SAFE = str.maketrans("-_", "+/")

_OTHER = "files that are no images"
_BAD_NAME = "images whose names are not UTF-8"
# First bytes of JPEG, PNG, GIF, BMP and TIFF, and brands of HEIC after "ftyp".
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_HEIC_SUFFIXES = (".heic", ".heif")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_HEAD = 12  # bytes

logger = logging.getLogger(__name__)


def photo_size(path: Path, where: str) -> tuple[int, int]:
    """Return (width, height) of an image as it is shown, with EXIF orientation applied; only the header is read.

    Args:
        path: the image file.
        where: the file and row that refer to the image, for messages.

    Raises:
        ImageError: the file is missing or is not an image.
    """
    try:
        with open_file(path) as file:
            return _shown_size(file, str(path))
    except ImageError as error:
        raise ImageError(f"{where}: {error}") from error


def encoded_size(photo: str, where: str) -> tuple[int, int]:
    """Return (width, height) of an image in base64 as it is shown, with EXIF orientation applied.

    Args:
        photo: the image's file in base64, plain or safe for URLs.
        where: the file and row that hold the image, for messages.

    Raises:
        ImageError: the text is not base64, or not of an image.
    """
    try:
        content = b64decode(photo.translate(_URL_SAFE), validate=True)
    except ValueError as error:
        raise ImageError(f"{where}: the photo is not base64 ({error})") from error
    return _shown_size(BytesIO(content), where)


def _shown_size(file: BinaryIO, where: str) -> tuple[int, int]:
    with open_header(file, where) as image:
        width, height = stored_size(image)
        sideways = image.getexif().get(_EXIF_ORIENTATION, 1) >= _FIRST_SIDEWAYS_ORIENTATION
    return (height, width) if sideways else (width, height)


def size_difference(declared: tuple[int, int], shown: tuple[int, int]) -> str | None:
    """Return what differs between the size that annotations declare and the size of their photo, and what to do.

    Args:
        declared: (width, height) in pixels, as the annotations have it.
        shown: (width, height) in pixels of the photo as it is shown, with EXIF orientation applied.

    Returns:
        A sentence, or None if the sizes are equal.
    """
    if declared == shown:
        return None
    sizes = f"the annotations are for {declared[0]} x {declared[1]} pixels, but the photo has {shown[0]} x {shown[1]}"
    if declared == shown[::-1]:
        return (
            f"{sizes}, as if EXIF turned the photo and the annotations were made on the photo as stored; turn the "
            "annotations, or remove the EXIF orientation from the photos (exiftool -Orientation= FILES) and extract "
            "again"
        )
    return (
        f"{sizes}, as if it was resized after it was annotated, or another photo had its name; extract from the photos "
        "that were annotated, or scale the annotations"
    )


def photos_in(folder: Path, *, skip_bad_names: bool = False) -> list[ImageRecord]:
    """List all image files below a folder, by the suffixes of FORMATS. An image's id is its path in the folder.

    Hidden files and folders are left out: "._photo.jpg" is macOS metadata, ".ipynb_checkpoints" holds copies. Links to
    folders are not followed, because they may lead out of the folder or in a circle. One log line says what was left
    out and why.

    Args:
        folder: the folder.
        skip_bad_names: leave out files whose names are not UTF-8, instead of stopping. A store's ids are UTF-8.

    Returns:
        The images, sorted by id.

    Raises:
        DataError: the folder is missing or has no image file, or a file's name is not UTF-8.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder with the photos")
    walk = _Walk(folder)
    if walk.bad_names and not skip_bad_names:
        raise DataError(
            f"{folder}: the name {walk.bad_names[0]} is not UTF-8, so the image cannot have an id; rename it, or give "
            "--skip_bad_images true to leave such images out"
        )
    left_out = walk.left_out()
    if not walk.photos:
        found = f"; left out {left_out}" if left_out else ""
        raise DataError(f"{folder} has no image file that can be read; give the folder with the photos{found}")
    if left_out:
        level = logging.INFO if walk.reasons == {_OTHER} else logging.WARNING
        logger.log(level, "%s: %s photos; left out %s", folder, f"{len(walk.photos):,}", left_out)
    return sorted(walk.photos, key=lambda record: record.id)


def remote_photos(folder: RemotePath) -> list[tuple[str, RemotePath]]:
    """List all image files below a remote folder, by the suffixes of FORMATS, without hidden ones.

    Returns:
        The path inside the folder and the file of each photo, in the order of the paths.

    Raises:
        DataError: the folder cannot be listed, or has no image file.
    """
    suffixes = _suffixes()
    try:
        below = folder.files_below()
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); see whether you may read it") from error
    names = [
        name
        for name in below
        if RemotePath(name).suffix.lower() in suffixes and not any(part.startswith(".") for part in name.split("/"))
    ]
    if not names:
        raise DataError(f"{folder} has no image file that can be read; give the folder with the photos")
    if len(names) < len(below):
        logger.info("%s: %s photos; left out %s: %s", folder, f"{len(names):,}", _OTHER, f"{len(below) - len(names):,}")
    return [(name, folder / name) for name in names]


def _suffixes() -> set[str]:
    return {end for end, name in Image.registered_extensions().items() if name in FORMATS}


class _Walk:
    """The photos below a folder, and what else there is, by reason.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.photos: list[ImageRecord] = []
        self._folder = folder
        self._left_out: dict[str, list[str]] = defaultdict(list)
        self._suffixes = _suffixes()
        for parent, folders, files in os.walk(folder, onerror=self._cannot_list):
            # Changing the list tells os.walk where to go.
            folders[:] = sorted(name for name in folders if self._enter(Path(parent, name)))
            for name in sorted(files):
                self._add(Path(parent, name))

    @property
    def reasons(self) -> set[str]:
        """The reasons for which something was left out."""
        return {*self._left_out}

    @property
    def bad_names(self) -> list[str]:
        """The names that are not UTF-8, with their other bytes escaped."""
        return self._left_out.get(_BAD_NAME, [])

    def left_out(self) -> str:
        """Return what was left out and why, with one example for each reason; empty if nothing was."""
        return "; ".join(f"{why}: {len(names):,} ({names[0]})" for why, names in self._left_out.items())

    def _cannot_list(self, error: OSError) -> None:
        self._leave(Path(error.filename), "folders that cannot be read")

    def _enter(self, path: Path) -> bool:
        """Return whether to look into a folder."""
        if path.name.startswith("."):
            self._leave(path, "hidden folders")
        elif path.is_symlink():
            self._leave(path, "linked folders, which are not followed")
        else:
            return True
        return False

    def _add(self, path: Path) -> None:
        is_photo = path.suffix.lower() in self._suffixes
        if path.name.startswith("."):
            self._leave(path, "hidden files" if is_photo else _OTHER)
        elif not path.is_file():
            self._leave(path, "broken links" if path.is_symlink() else _OTHER)
        elif not is_photo:
            self._leave(path, _kind(path))
        elif not _is_utf8(path.relative_to(self._folder)):
            self._leave(path, _BAD_NAME)
        else:
            self.photos.append(ImageRecord(id=path.relative_to(self._folder).as_posix(), path=path))

    def _leave(self, path: Path, reason: str) -> None:
        name = os.fsencode(path.relative_to(self._folder))
        self._left_out[reason].append(name.decode("utf-8", "backslashreplace"))


def _is_utf8(path: Path) -> bool:
    """Return whether a path is UTF-8. Python keeps other bytes as halves of surrogate pairs, which UTF-8 lacks."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(path: Path) -> str:
    """Return why a file without an image's suffix is left out, by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return _OTHER
    if path.suffix.lower() in _HEIC_SUFFIXES or (head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS):
        return "HEIC photos, to convert to JPEG"
    if head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "photos without an image's suffix, to rename"
    return _OTHER
