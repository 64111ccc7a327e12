"""Read a split of any dataset: the expressions for everybody, the truth for evaluation."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from aligncat.datasets.config import UNKNOWN_DIVISION, DataConfig, format_of
from aligncat.datasets.formats.annotation_files import AnnotationFiles
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
    files: AnnotationFiles | None = None,
) -> Split:
    """Read the images and expressions of one split; never a box or a mask, which need not even be there.

    Args:
        config: where the dataset is.
        split: the split's name, as in the data: train, val, testA, testB or test for RefCOCO and its kin, the
            file's name in jsonl.
        skip_bad_rows: leave out rows that are not as the format asks, and report them in one warning of the
            logger `aligncat.datasets`, instead of raising an error at the first.
        collect_bad_rows: a list that takes the errors of the rows that are left out, in place of the warning; the
            split may then be empty.
        check_images: whether every image must exist. Work that reads a store does without the images.
        files: the annotation files parsed so far, where several splits are read.

    Returns:
        The split.

    Raises:
        DataError: a file, a row or an expression is not what the format asks for.
        ImageError: an image is missing.
        UnsafePickleError: refs(<split_by>).p holds anything but plain data.
    """
    if config.split_by == UNKNOWN_DIVISION:
        _warn_once(
            f"{config.path}: does not say which of RefCOCOg's two divisions it is, whose val splits are not "
            'comparable: results say "unknown"; say --data.split_by umd or google (if its file is refs(unknown).p, '
            "where you converted it)"
        )
    options = _options(skip_bad_rows, collect_bad_rows, files, check_images=check_images)
    with _paused_garbage_collector():
        return format_of(config).read_split(config, split, options)


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
        config: where the dataset is.
        split: the split's name, as in the data.
        skip_bad_rows: leave out referents whose truth is not as the format asks, and report them in one
            warning.
        collect_bad_rows: a list that takes the errors of the referents that are left out, in place of the warning.
        files: the annotation files parsed so far, where several splits are read.

    Returns:
        referent id -> its box and mask; the mask is None where the data has none.

    Raises:
        DataError: a referent's box or mask is missing or is not what the format asks for.
    """
    with _paused_garbage_collector():
        return format_of(config).read_truth(config, split, _options(skip_bad_rows, collect_bad_rows, files))


def load_objects(config: DataConfig, split: Split, *, files: AnnotationFiles | None = None) -> Objects:
    """Read every annotated object in a split's images, also those that no expression refers to. Evaluation only.

    Crowds are left out: their box is not one object's.

    Args:
        config: where the dataset is.
        split: which images.
        files: the annotation files parsed so far.

    Returns:
        image id -> boxes, (n, 4) xyxy pixels, and n category names. Empty where the format describes referents alone.

    Raises:
        DataError: the annotations are missing or not as the format asks.
    """
    list_objects = format_of(config).list_objects
    return {} if list_objects is None else list_objects(config, split.images, files or AnnotationFiles())


def split_names(config: DataConfig, *, files: AnnotationFiles | None = None) -> tuple[str, ...]:
    """List the splits of a dataset, the training split first.

    Args:
        config: where the dataset is.
        files: the annotation files parsed so far.

    Returns:
        The names.

    Raises:
        DataError: the files that name the splits are missing or cannot be read, or a name cannot be a split's.
    """
    return format_of(config).split_names(config, files or AnnotationFiles())


def _options(
    skip_bad_rows: bool,
    collect_bad_rows: list[DataError] | None,
    files: AnnotationFiles | None,
    *,
    check_images: bool = True,
) -> ReadOptions:
    return ReadOptions(
        skip_bad_rows=skip_bad_rows or collect_bad_rows is not None,
        collected=collect_bad_rows,
        check_images=check_images,
        files=files or AnnotationFiles(),
    )


@cache
def _warn_once(message: str) -> None:
    """Log a warning the first time that this process gives it."""
    logger.warning("%s", message)


@contextmanager
def _paused_garbage_collector() -> Iterator[None]:
    """Pause Python's garbage collector: its scans of a large file's new objects take half of the reading time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
