"""The record that describes a dataset format."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from aligncat.datasets.formats import FORMATS
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows
from aligncat.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.convert.source import Source
    from aligncat.datasets.formats.as_written import AsWritten
    from aligncat.datasets.formats.instances import Instances
    from aligncat.datasets.split import Split
    from aligncat.types import Truth

Objects: TypeAlias = "dict[str, tuple[NDArray[np.float64], list[str]]]"
"""Image id -> the boxes of its objects, (n, 4) xyxy pixels, and their n category names."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read a split; `load_split` describes the options.

    Attributes:
        skip_bad_rows: whether to go on after a row that is not as the format asks.
        collected: a list that takes the errors of skipped rows, in place of the warning.
        check_images: whether every image must exist.
        files: the annotation files parsed so far.
    """

    skip_bad_rows: bool = False
    collected: list[DataError] | None = None
    check_images: bool = True
    files: AnnotationFiles = field(default_factory=AnnotationFiles)

    def bad_rows(self, source: Path) -> BadRows:
        """Return what to do about the bad rows of a file."""
        return BadRows(source, skip=self.skip_bad_rows, collected=self.collected)


def _nothing_more(config: DataConfig, split: str, files: AnnotationFiles) -> dict[str, AsWritten]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Format:
    """How datasets of one format are read and written.

    Attributes:
        read_split: reads the images and expressions of a split; never a box or a mask.
        read_truth: reads referent id -> box and mask. Evaluation only.
        split_names: lists the splits, the training split first.
        list_objects: lists all annotated objects of the given images, also those that no expression refers to.
            Evaluation only. None where the files describe referents alone.
        as_written: reads referent id -> what only a conversion keeps of it.
        instances: reads COCO's instances.json, which a conversion copies. None where the format has no such file.
        write: writes a dataset into a folder, to be read with the given config. None where the format is read only.
        split_by: who divides the data into splits where the config does not say, as the name of a file needs it.
        images_beside_files: whether the images lie beside the annotation files, not in one of REFER's usual folders.
    """

    read_split: Callable[[DataConfig, str, ReadOptions], Split]
    read_truth: Callable[[DataConfig, str, ReadOptions], dict[str, Truth]]
    split_names: Callable[[DataConfig, AnnotationFiles], tuple[str, ...]]
    list_objects: Callable[[DataConfig, Container[str], AnnotationFiles], Objects] | None = None
    as_written: Callable[[DataConfig, str, AnnotationFiles], dict[str, AsWritten]] = _nothing_more
    instances: Callable[[DataConfig, AnnotationFiles], Instances] | None = None
    write: Callable[[Source, DataConfig, Path], None] | None = None
    split_by: str | None = None
    images_beside_files: bool = False


def find_format(name: str) -> Format:
    """Import a format's record.

    Raises:
        ConfigError: no format has this name.
    """
    if name not in FORMATS:
        raise ConfigError(f"format {name!r} is not known; use one of {', '.join(FORMATS)}")
    module, _, record = FORMATS[name].partition(":")
    found: Format = getattr(import_module(module), record)
    return found
