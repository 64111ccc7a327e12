"""Readers of a dataset in any format: the expressions of a split and, for evaluation only, the truth."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from aligncat.datasets.config import UNKNOWN_DIVISION, DataConfig, format_of
from aligncat.datasets.derived import with_derived_categories
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.boxes import CORNER, all_in_corner
from aligncat.datasets.formats.format import Objects, ReadOptions
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.types import Truth

logger = logging.getLogger(__name__)


def load_split(
    config: DataConfig,
    split: str,
    *,
    skip_bad_rows: bool = False,
    collect_bad_rows: list[DataError] | None = None,
    check_images: bool = True,
    categories: Iterable[str] = (),
    files: AnnotationFiles | None = None,
    places: dict[str, str] | None = None,
) -> Split:
    """Read the images and expressions of one split. Boxes and masks are not read and need not exist.

    Args:
        config: the dataset.
        split: the split's name, as in the data: train, val, testA, testB or test for the RefCOCO family, the file's
            name in jsonl.
        skip_bad_rows: leave out rows that do not follow the format, and report them in one warning of the logger
            `aligncat.datasets`. The default is to raise an error at the first one.
        collect_bad_rows: a list to which the errors of bad rows are appended. The rows are left out without a
            warning, and the split may be empty.
        check_images: whether to check that every image exists. Images are not needed if a store is read.
        categories: names that a phrase without a category may mean, such as the detector's labels, beside COCO's and
            those of the split's other rows.
        files: annotation files parsed so far; pass the same object to read several splits.
        places: a dict to which the file and row of each referent are added, by referent id.

    Returns:
        The split. An expression without a category has the one that its phrase names, if it names one.

    Raises:
        DataError: a file, a row or an expression does not follow the format.
        ImageError: an image is missing.
        UnsafePickleError: refs(<split_by>).p has more than plain data.
    """
    files = files or AnnotationFiles()
    if config.split_by == UNKNOWN_DIVISION:
        _warn_once(
            files,
            f"{config.path}: does not record which of RefCOCOg's two divisions it is, and their val splits are not "
            'comparable, so results say "unknown"; give --data.split_by umd or google (for a file refs(unknown).p, '
            "repeat the conversion with it)",
        )
    options = _options(skip_bad_rows, collect_bad_rows, files, check_images=check_images, places=places)
    with _paused_garbage_collector():
        read = format_of(config).read_split(config, split, options)
        return with_derived_categories(read, config.lexicon, categories)


def load_truth(
    config: DataConfig,
    split: str,
    *,
    skip_bad_rows: bool = False,
    collect_bad_rows: list[DataError] | None = None,
    files: AnnotationFiles | None = None,
) -> dict[str, Truth]:
    """Read the boxes and masks of one split. Evaluation only.

    Args:
        config: the dataset.
        split: the split's name, as in the data.
        skip_bad_rows: leave out referents whose truth does not follow the format, and report them in one warning.
        collect_bad_rows: a list to which the errors of bad referents are appended. The referents are left out
            without a warning.
        files: annotation files parsed so far; pass the same object to read several splits.

    Returns:
        referent id -> its box and mask; the mask is None if the data has none.

    Raises:
        DataError: a referent's box or mask is missing or does not follow the format.
    """
    options = _options(skip_bad_rows, collect_bad_rows, files or AnnotationFiles())
    with _paused_garbage_collector():
        truths = format_of(config).read_truth(config, split, options)
    if config.boxes is None and format_of(config).boxes is not None and all_in_corner(truths.values()):
        _warn_once(
            options.files,
            f"{config.path}: all boxes of {split} lie in the first {CORNER} x {CORNER} pixels of much larger photos; "
            "if their numbers are thousandths of the photo, give --data.boxes thousandths; if they are pixels, "
            f"--data.boxes {format_of(config).boxes} says so",
        )
    return truths


def load_objects(config: DataConfig, split: Split, *, files: AnnotationFiles | None = None) -> Objects:
    """Read all annotated objects in a split's images, including those without an expression. Evaluation only.

    Crowds are left out, because a crowd's box is not that of one object.

    Args:
        config: the dataset.
        split: the split whose images count.
        files: annotation files parsed so far.

    Returns:
        image id -> boxes, (n, 4) xyxy pixels, and n category names. Empty if the format only describes referents.

    Raises:
        DataError: the annotations are missing or do not follow the format.
    """
    list_objects = format_of(config).list_objects
    return {} if list_objects is None else list_objects(config, split.images, files or AnnotationFiles())


def split_names(config: DataConfig, *, files: AnnotationFiles | None = None) -> tuple[str, ...]:
    """List the splits of a dataset, the training split first.

    Args:
        config: the dataset.
        files: annotation files parsed so far.

    Returns:
        The names.

    Raises:
        DataError: the files with the split names are missing or cannot be read, or a name is not allowed.
    """
    return format_of(config).split_names(config, files or AnnotationFiles())


def _options(
    skip_bad_rows: bool,
    collect_bad_rows: list[DataError] | None,
    files: AnnotationFiles,
    *,
    check_images: bool = True,
    places: dict[str, str] | None = None,
) -> ReadOptions:
    return ReadOptions(
        skip_bad_rows=skip_bad_rows or collect_bad_rows is not None,
        collected=collect_bad_rows,
        check_images=check_images,
        files=files,
        places=places,
    )


def _warn_once(files: AnnotationFiles, message: str) -> None:
    """Log a warning, unless the same files led to it before."""
    if message not in files.warnings:
        files.warnings.add(message)
        logger.warning("%s", message)


@contextmanager
def _paused_garbage_collector() -> Iterator[None]:
    """Pause Python's garbage collector, whose scans of a large file's objects take half of the reading time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
