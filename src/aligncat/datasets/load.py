"""Read a split of any dataset: the expressions for everybody, the truth for evaluation."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from aligncat.datasets.config import DataConfig
from aligncat.datasets.jsonl import load_jsonl_split, load_jsonl_truth
from aligncat.datasets.refer import load_refer_split
from aligncat.datasets.refer_truth import load_refer_truth
from aligncat.datasets.split import Split
from aligncat.types import Truth


def load_split(config: DataConfig, split: str, *, skip_bad_rows: bool = False, check_images: bool = True) -> Split:
    """Read the images and expressions of one split; never a box or a mask, which need not even be there.

    Args:
        config: where the dataset is.
        split: the split's name, as in the data: train, val, testA, testB or test in REFER's layout, the
            file's name in jsonl.
        skip_bad_rows: leave out rows that are not as the format asks, and report them in one warning of the
            logger `aligncat.datasets`, instead of raising an error at the first.
        check_images: whether every image must exist. Work that reads a store does without the images.

    Returns:
        The split.

    Raises:
        DataError: when a file, a row or an expression is not what the format asks for.
        ImageError: when an image is missing.
        UnsafePickleError: when refs(<split_by>).p holds anything but plain data.
    """
    load = load_jsonl_split if config.dataset == "jsonl" else load_refer_split
    with _paused_garbage_collector():
        return load(config, split, skip_bad_rows=skip_bad_rows, check_images=check_images)


def load_truth(config: DataConfig, split: str, *, skip_bad_rows: bool = False) -> dict[str, Truth]:
    """Read the boxes and masks of one split. Evaluation only.

    Args:
        config: where the dataset is.
        split: the split's name, as in the data.
        skip_bad_rows: leave out referents whose truth is not as the format asks, and report them in one
            warning.

    Returns:
        referent id -> its box and mask; the mask is None where the data has none.

    Raises:
        DataError: when a referent's box or mask is missing or is not what the format asks for.
    """
    load = load_jsonl_truth if config.dataset == "jsonl" else load_refer_truth
    with _paused_garbage_collector():
        return load(config, split, skip_bad_rows=skip_bad_rows)


@contextmanager
def _paused_garbage_collector() -> Iterator[None]:
    """Do not look for garbage among the millions of new objects of a large file: it takes half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
