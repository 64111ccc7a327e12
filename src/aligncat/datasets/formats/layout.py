"""Find a dataset's files and images, or raise an error that lists the existing files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats.bad_rows import BadRows
from aligncat.datasets.formats.dialects import dialect_of_file
from aligncat.datasets.known import known_dataset
from aligncat.errors import DataError, ImageError
from aligncat.types import ImageRecord

_LISTED = 20


def existing_file(path: Path, pattern: str, option: str) -> Path:
    """Return the path of an annotation file after checking that it exists.

    Args:
        path: the file.
        pattern: a glob for the files in the same folder that the message lists.
        option: the option of `DataConfig` that the message tells the user to check.

    Raises:
        DataError: the file is missing. The message lists the existing files.
    """
    if not path.is_file():
        contents = folder_contents(path.parent, pattern)
        raise DataError(f"{path}: no such file; {contents}; check `{option}`{hint(path.parent)}")
    return path


def image_folder(config: DataConfig, file_names: Iterable[str]) -> Path:
    """Return the folder of a dataset's images: the configured one, or the first usual one that holds any of the files.

    Args:
        config: the dataset's configuration.
        file_names: the image files.

    Raises:
        ImageError: the configured folder does not exist, or no usual folder holds any of the files.
    """
    if config.images is not None:
        if not config.images.is_dir():
            contents = folder_contents(config.images, "*")
            raise ImageError(f"{config.images}: the images folder does not exist; {contents}; check `images`")
        return config.images
    names = list(file_names)
    folders = usual_image_folders(config)
    for folder in folders:
        if folder.is_dir() and any((folder / name).is_file() for name in names):
            return folder
    raise ImageError(
        f"{config.dataset}: none of its images (the first is {names[0] if names else 'unnamed'}) is in "
        f"{', '.join(map(str, folders))}; put them into one of these folders, or set their folder with `images`"
    )


def usual_image_folders(config: DataConfig) -> tuple[Path, ...]:
    """Return the folders where REFER's users keep the images, in the order in which they are tried."""
    images = config.path / "images"
    return *(images / name for name in known_dataset(config.dataset).image_folders), images / config.dataset, images


def likely_image_folder(config: DataConfig) -> Path:
    """Return the folder where the images should be: the configured one, or the first usual one that exists.

    The folder's contents are not checked.
    """
    if config.images is not None:
        return config.images
    if format_of(config).images_beside_files:
        return config.path
    return next(filter(Path.is_dir, usual_image_folders(config)), config.path / "images")


def image_records(
    config: DataConfig, file_names: Mapping[str, str], bad_rows: BadRows, *, check: bool
) -> dict[str, ImageRecord]:
    """Find a dataset's images.

    Args:
        config: the dataset's configuration.
        file_names: image id -> file, relative to the folder of the images.
        bad_rows: raises or skips missing images.
        check: whether to check that the images exist.

    Returns:
        Image id -> record, of the images that exist, or of all images if `check` is False.

    Raises:
        ImageError: the images or their folder are missing.
    """
    if not file_names:
        return {}
    if not check:
        folder = likely_image_folder(config)
        return {image_id: ImageRecord(image_id, folder / name) for image_id, name in file_names.items()}
    folder = image_folder(config, file_names.values())
    records = {}
    for image_id, name in file_names.items():
        with bad_rows:
            path = folder / name
            if not path.is_file():
                raise ImageError(f"{path}: no such file, but {config.dataset} has expressions of image {image_id}")
            records[image_id] = ImageRecord(image_id, path)
    return records


def hint(folder: Path) -> str:
    """Return the name of another tool's format that a folder's files have, and how to read it, or nothing.

    Args:
        folder: the folder; if it does not exist, its nearest existing parent counts.
    """
    files = [path for path in sorted(_existing(folder).glob("*")) if path.suffix in (".json", ".jsonl", ".tsv")]
    for path in files[:_LISTED]:
        if dialect := dialect_of_file(path):
            return f". {path.name} {dialect.described()}"
    return ""


def folder_contents(folder: Path, pattern: str) -> str:
    """Describe the contents of a folder, or of its nearest existing parent.

    Args:
        folder: the folder.
        pattern: a glob for the files to list. If none match, or the folder is missing, all files are listed.
    """
    existing = _existing(folder)
    if existing != folder:
        folder, pattern = existing, "*"
    names = sorted(entry.name for entry in folder.glob(pattern)) or sorted(entry.name for entry in folder.iterdir())
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{folder} has {', '.join(names[:_LISTED]) or 'nothing'}{more}"


def _existing(folder: Path) -> Path:
    """Return a folder, or its nearest parent that exists."""
    return next((each for each in (folder, *folder.parents) if each.is_dir()), folder)
