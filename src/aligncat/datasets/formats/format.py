"""The record that describes a dataset format."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from aligncat.datasets.formats import FORMATS, BoxForm
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows
from aligncat.errors import ConfigError, DataError
from aligncat.wording import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.convert.source import Source
    from aligncat.datasets.formats.as_written import AsWritten
    from aligncat.datasets.formats.dialects import Dialect
    from aligncat.datasets.formats.instances import Instances
    from aligncat.datasets.split import Split
    from aligncat.types import Truth

Objects: TypeAlias = "dict[str, tuple[NDArray[np.float64], list[str]]]"
"""Image id -> the boxes of its objects, (n, 4) xyxy pixels, and their n category names."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a split; see `load_split`.

    Attributes:
        skip_bad_rows: whether to skip rows that do not follow the format.
        collected: a list to which the errors of skipped rows are added, instead of one warning.
        check_images: whether every image must exist.
        files: the cache of parsed annotation files.
        places: a dict to which the file and row of each referent are added.
    """

    skip_bad_rows: bool = False
    collected: list[DataError] | None = None
    check_images: bool = True
    files: AnnotationFiles = field(default_factory=AnnotationFiles)
    places: dict[str, str] | None = None

    def bad_rows(self, source: Path) -> BadRows:
        """Return the context manager for reading the rows of a file."""
        return BadRows(source, skip=self.skip_bad_rows, collected=self.collected, places=self.places)


def _no_details(config: DataConfig, split: str, files: AnnotationFiles) -> dict[str, AsWritten]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Format:
    """The functions that read and write datasets of one format.

    Attributes:
        read_split: reads the images and expressions of a split, but no boxes or masks.
        read_truth: reads the box and mask of each referent, by referent id. Evaluation only.
        split_names: lists the splits, the training split first.
        list_objects: lists all annotated objects of the given images, including those that no expression refers to.
            Evaluation only. None if the files describe only referents.
        as_written: reads the details that only conversions use, by referent id.
        instances: reads COCO's instances.json, which a conversion copies. None if the format has no such file.
        write: writes a dataset into a folder, where the given config can read it. None if the format is read-only.
        split_by: the division that is read if the config names none. None if file names do not contain the division.
        boxes: what the numbers of a box are if the config does not say it. None if the format leaves no choice, UNSAID
            if the config has to say it, unless a row does.
        dialect: how the rows of JSON lines, or of a similar file, are written. None for any other format.
        images_beside_files: whether the images lie beside the annotation files. Otherwise, they are in one of the
            folders where users of REFER keep them (`usual_image_folders`).
    """

    read_split: Callable[[DataConfig, str, ReadOptions], Split]
    read_truth: Callable[[DataConfig, str, ReadOptions], dict[str, Truth]]
    split_names: Callable[[DataConfig, AnnotationFiles], tuple[str, ...]]
    list_objects: Callable[[DataConfig, Container[str], AnnotationFiles], Objects] | None = None
    as_written: Callable[[DataConfig, str, AnnotationFiles], dict[str, AsWritten]] = _no_details
    instances: Callable[[DataConfig, AnnotationFiles], Instances] | None = None
    write: Callable[[Source, DataConfig, Path], None] | None = None
    split_by: str | None = None
    boxes: BoxForm | Literal["unsaid"] | None = None
    dialect: Dialect | None = None
    images_beside_files: bool = False


def find_format(name: str) -> Format:
    """Import a format's record.

    Raises:
        ConfigError: the format is unknown.
    """
    if name not in FORMATS:
        raise ConfigError(f"format {name!r} is not known; use one of {', '.join(FORMATS)}{did_you_mean(name, FORMATS)}")
    module, _, record = FORMATS[name].partition(":")
    found: Format = getattr(import_module(module), record)
    return found
