"""aligncat data convert: a dataset in another format."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Literal

from aligncat.datasets.config import DataConfig, DatasetName
from aligncat.datasets.convert.source import Source
from aligncat.datasets.convert.writers import WRITERS
from aligncat.datasets.formats.read_once import files_read_once
from aligncat.datasets.split_names import split_names
from aligncat.files.new_folder import new_folder

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
    dataset: DatasetName = "own" if data.dataset == "jsonl" else data.dataset
    with files_read_once():
        source = Source.read(data, splits or split_names(data))
        written = replace(data, path=out, dataset=dataset, format=to, images=source.photos)
        with new_folder(out) as folder:
            WRITERS[to](source, dataset, written.split_by or "unc", folder)
    logger.info(
        "%s written to %s; the photos stay where they are: read it with --data.path %s --data.dataset %s "
        "--data.format %s --data.images %s%s",
        dataset,
        out,
        out,
        dataset,
        to,
        source.photos,
        "" if written == replace(written, split_by=None) else f" --data.split_by {written.split_by}",
    )
    return written
