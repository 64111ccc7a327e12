"""Read a split of any dataset: the expressions for everybody, the truth for evaluation."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Protocol

from aligncat.datasets.config import UNKNOWN_DIVISION, DataConfig, Format
from aligncat.datasets.formats.coco_csv import load_csv_split, load_csv_truth
from aligncat.datasets.formats.hub import load_hub_split, load_hub_truth
from aligncat.datasets.formats.jsonl import load_jsonl_split, load_jsonl_truth
from aligncat.datasets.formats.refer import load_refer_split
from aligncat.datasets.formats.refer_truth import load_refer_truth
from aligncat.datasets.formats.simrec import load_simrec_split, load_simrec_truth
from aligncat.datasets.split import Split
from aligncat.types import Truth

logger = logging.getLogger(__name__)


class _SplitReader(Protocol):
    def __call__(self, config: DataConfig, split: str, *, skip_bad_rows: bool, check_images: bool) -> Split: ...


class _TruthReader(Protocol):
    def __call__(self, config: DataConfig, split: str, *, skip_bad_rows: bool) -> dict[str, Truth]: ...


_SPLITS: dict[Format, _SplitReader] = {
    "refer": load_refer_split,
    "simrec": load_simrec_split,
    "hub": load_hub_split,
    "coco-csv": load_csv_split,
    "jsonl": load_jsonl_split,
}
_TRUTHS: dict[Format, _TruthReader] = {
    "refer": load_refer_truth,
    "simrec": load_simrec_truth,
    "hub": load_hub_truth,
    "coco-csv": load_csv_truth,
    "jsonl": load_jsonl_truth,
}


def load_split(config: DataConfig, split: str, *, skip_bad_rows: bool = False, check_images: bool = True) -> Split:
    """Read the images and expressions of one split; never a box or a mask, which need not even be there.

    Args:
        config: where the dataset is.
        split: the split's name, as in the data: train, val, testA, testB or test for RefCOCO and its kin, the
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
    if config.split_by == UNKNOWN_DIVISION:
        _ask_for_division(config.path)
    with _paused_garbage_collector():
        return _SPLITS[config.file_format](config, split, skip_bad_rows=skip_bad_rows, check_images=check_images)


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
    with _paused_garbage_collector():
        return _TRUTHS[config.file_format](config, split, skip_bad_rows=skip_bad_rows)


@cache  # once for a dataset, however many of its splits are read
def _ask_for_division(path: Path) -> None:
    logger.warning(
        "%s: does not say which of RefCOCOg's two divisions it is, whose val splits are not comparable: results say "
        '"unknown"; say --data.split_by umd or google (if its file is refs(unknown).p, where you converted it)',
        path,
    )


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
