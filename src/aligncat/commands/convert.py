"""aligncat data convert: a dataset in another format."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from aligncat.datasets import DataConfig
from aligncat.datasets.convert import Source
from aligncat.datasets.split_names import split_names
from aligncat.datasets.writers import WRITERS
from aligncat.errors import DataError

logger = logging.getLogger(__name__)


def convert_data(
    *,
    data: DataConfig,
    to: Literal["refer", "simrec", "jsonl"],
    out: Path,
    splits: tuple[str, ...] | None = None,
) -> DataConfig:
    """Write a dataset in another format: REFER's layout, SimREC's JSON with masks, or JSON lines.

    The photos stay where they are. What both formats can hold comes through; docs/formats.md says what that is.

    Args:
        data: the dataset.
        to: the format to write.
        out: the folder to write; it must not exist, or be empty.
        splits: the splits to write; by default all.

    Returns:
        How to read what was written, which is printed too.

    Raises:
        DataError: the dataset cannot be read, or holds something that the other format cannot do without.
        ImageError: the other format asks for the size of an image, and its photo is not there.
    """
    source = Source.read(data, splits or split_names(data))
    dataset = "own" if data.dataset == "jsonl" else data.dataset
    with _whole_folder(out) as folder:
        WRITERS[to](source, dataset, data.split_by, folder)
    written = replace(data, path=out, dataset=dataset, format=to, images=source.photos)
    logger.info(
        "%s written to %s; the photos stay where they are: read it with --data.path %s --data.dataset %s "
        "--data.format %s --data.images %s",
        dataset,
        out,
        out,
        dataset,
        to,
        source.photos,
    )
    return written


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when all is written, and is gone when that fails."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} exists and is not empty; choose another folder or remove it first")
    unfinished = out.with_name(f".{out.name}.unfinished-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if out.exists():
            out.rmdir()
        unfinished.rename(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error}); make room, or choose another folder") from error
    finally:  # also on Ctrl-C: half a data set is of no use, and its name would not tell
        shutil.rmtree(unfinished, ignore_errors=True)
