"""Find a dataset's files and images, and say what there is instead when they are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from aligncat.datasets.config import DataConfig, format_of
from aligncat.datasets.formats.bad_rows import BadRows
from aligncat.datasets.known import known_dataset
from aligncat.errors import DataError, ImageError
from aligncat.types import ImageRecord

_LISTED = 20


def existing_file(path: Path, pattern: str, option: str) -> Path:
    """Return the path of an annotation file after checking that it exists.

    Args:
        path: the file.
        pattern: which of the neighbours of a missing file to list.
        option: the option of `DataConfig` to check when it is missing.

    Raises:
        DataError: the file is missing; the message lists the files that there are.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file; {folder_contents(path.parent, pattern)}; check `{option}`")
    return path


def image_folder(config: DataConfig, file_names: Iterable[str]) -> Path:
    """Return the folder of a dataset's images: the one given, or the first usual place that holds any of them.

    Args:
        config: where the dataset is.
        file_names: the image files that must be in it.

    Raises:
        ImageError: the folder given does not exist, or no usual place has any of the files.
    """
    if config.images is not None:
        if not config.images.is_dir():
            there = folder_contents(config.images, "*")
            raise ImageError(f"{config.images}: the images folder does not exist; {there}")
        return config.images
    names = list(file_names)
    places = usual_image_folders(config)
    for place in places:
        if place.is_dir() and any((place / name).is_file() for name in names):
            return place
    raise ImageError(
        f"{config.dataset}: none of its images (the first is {names[0] if names else 'unnamed'}) is in "
        f"{', '.join(map(str, places))}; put them there or name their folder with `images`"
    )


def usual_image_folders(config: DataConfig) -> tuple[Path, ...]:
    """Return the places where REFER's users keep the images, in the order in which they are tried."""
    images = config.path / "images"
    return *(images / name for name in known_dataset(config.dataset).image_folders), images / config.dataset, images


def likely_image_folder(config: DataConfig) -> Path:
    """Return where the images would be: the folder given, or the first usual place that exists, whatever it holds."""
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
        config: where the dataset is.
        file_names: image id -> file, below the folder of the images.
        bad_rows: what to do about an image that is missing.
        check: whether to look for them at all.

    Returns:
        Image id -> record of the images that exist, or of all of them if `check` is False.
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


def folder_contents(folder: Path, pattern: str) -> str:
    """Describe what a folder holds, or the nearest folder above it that exists."""
    while not folder.is_dir() and folder != folder.parent:
        folder, pattern = folder.parent, "*"
    names = sorted(entry.name for entry in folder.glob(pattern)) or sorted(entry.name for entry in folder.iterdir())
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{folder} has {', '.join(names[:_LISTED]) or 'nothing'}{more}"
