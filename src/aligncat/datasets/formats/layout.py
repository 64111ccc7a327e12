"""Where the files of a dataset are, and what to say when one is not there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.rows import check_split_name
from aligncat.errors import DataError, ImageError

_LISTED = 20


def refs_file(config: DataConfig) -> Path:
    """REFER's file of expressions.

    Raises:
        DataError: when it is missing, saying which files there are.
    """
    return _existing(config.path / config.dataset / f"refs({config.split_by}).p", "refs(*).p", "split_by")


def instances_file(config: DataConfig) -> Path:
    """The file of images, categories and annotations, in COCO's format: REFER's, or the one beside phrases.csv.

    Raises:
        DataError: when it is missing, saying which files there are.
    """
    folder = config.path if config.file_format == "coco-csv" else config.path / config.dataset
    return _existing(folder / "instances.json", "*.json", "path")


def jsonl_file(config: DataConfig, split: str) -> Path:
    """The file of one split of own data.

    Raises:
        DataError: when it is missing, saying which splits there are, or its name cannot be a split's.
    """
    check_split_name(split, f"{config.path}/<split>.jsonl")
    return _existing(config.path / f"{split}.jsonl", "*.jsonl", "split")


def simrec_file(config: DataConfig) -> Path:
    """SimREC's file of all splits.

    Raises:
        DataError: when it is missing, saying which files there are.
    """
    return _existing(config.path / "anns" / f"{config.dataset}.json", "*.json", "dataset")


def phrases_file(config: DataConfig) -> Path:
    """The CSV of phrases beside COCO's annotations.

    Raises:
        DataError: when it is missing, saying which files there are.
    """
    return _existing(config.path / "phrases.csv", "*.csv", "path")


def parquet_files(config: DataConfig) -> list[Path]:
    """The Parquet files of a set of the hub, in the order of their names.

    Raises:
        DataError: there is none.
    """
    found = sorted(config.path.glob("*.parquet")) or sorted((config.path / "data").glob("*.parquet"))
    if not found:
        raise DataError(f"{config.path}: no *.parquet; {_contents(config.path, '*')}; check `path`")
    return found


def image_folder(config: DataConfig, file_names: Iterable[str]) -> Path:
    """The folder of a dataset's images: the one given, or the first usual place that holds any of them.

    Args:
        config: where the dataset is.
        file_names: the image files that must be in it.

    Raises:
        ImageError: when the folder given does not exist, or no usual place has any of the files.
    """
    if config.images is not None:
        if not config.images.is_dir():
            raise ImageError(f"{config.images}: the images folder does not exist; {_contents(config.images, '*')}")
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
    """The places where REFER's users keep the images, in the order in which they are tried."""
    images = config.path / "images"
    if config.dataset == "refclef":
        return images / "saiapr_tc-12", images / config.dataset, images
    return images / "mscoco" / "images" / "train2014", images / "train2014", images / config.dataset, images


def likely_image_folder(config: DataConfig) -> Path:
    """Where the images would be: the folder given, or the first usual place that exists, whatever it holds.

    JSON lines have their images beside them, wherever others usually are.
    """
    if config.file_format == "jsonl":
        return config.images or config.path
    return config.images or next(filter(Path.is_dir, usual_image_folders(config)), config.path / "images")


def _existing(path: Path, pattern: str, option: str) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: no such file; {_contents(path.parent, pattern)}; check `{option}`")
    return path


def _contents(folder: Path, pattern: str) -> str:
    """What there is instead of a missing file: its neighbours, or those of the nearest folder that exists."""
    while not folder.is_dir() and folder != folder.parent:
        folder, pattern = folder.parent, "*"
    names = sorted(entry.name for entry in folder.glob(pattern)) or sorted(entry.name for entry in folder.iterdir())
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{folder} has {', '.join(names[:_LISTED]) or 'nothing'}{more}"
