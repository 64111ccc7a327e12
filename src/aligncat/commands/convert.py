"""aligncat data convert: a dataset in another format."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Source
from aligncat.datasets.formats import FORMATS
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.format import find_format
from aligncat.datasets.known import known_dataset
from aligncat.datasets.load import split_names
from aligncat.errors import ConfigError
from aligncat.files.new_folder import new_folder

logger = logging.getLogger(__name__)


def convert_data(
    *,
    data: DataConfig,
    to: str,
    out: Path,
    splits: tuple[str, ...] | None = None,
) -> DataConfig:
    """Write a dataset in another format: REFER's layout, SimREC's JSON with masks, or JSON lines.

    The photos stay where they are. What both formats can hold comes through; docs/formats.md says what that is.

    Args:
        data: the dataset.
        to: the format to write: refer, simrec or jsonl.
        out: the folder to write; it must not exist, or be empty.
        splits: the splits to write; by default all.

    Returns:
        How to read what was written, which is printed too.

    Raises:
        ConfigError: there is no such format, or it is only read.
        DataError: the dataset cannot be read, or holds something that the other format cannot do without.
        ImageError: the other format asks for the size of an image, and its photo is not there.
    """
    write = find_format(to).write
    if write is None:
        writable = [name for name in FORMATS if find_format(name).write is not None]
        raise ConfigError(f"format {to} can be read and not written; use one of {', '.join(writable)}")
    dataset = known_dataset(data.dataset).short_for or data.dataset
    with AnnotationFiles() as files:
        source = Source.read(data, splits or split_names(data, files=files), files)
        written = replace(data, path=out, dataset=dataset, format=to, images=source.photos)
        with new_folder(out) as folder:
            write(source, written, folder)
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
