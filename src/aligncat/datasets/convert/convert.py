"""Convert a dataset to another format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Source
from aligncat.datasets.formats import FORMATS
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.format import find_format
from aligncat.datasets.known import known_dataset
from aligncat.datasets.load import split_names
from aligncat.datasets.split import split_tuple
from aligncat.errors import ConfigError
from aligncat.files.new_folder import new_folder
from aligncat.files.writable import check_writable


def convert_dataset(
    *,
    data: DataConfig,
    to: str,
    out: str | Path,
    splits: tuple[str, ...] | None = None,
) -> DataConfig:
    """Write a dataset in another format: REFER's layout, SimREC's JSON with masks, or JSON lines.

    The photos stay where they are. Everything that both formats can hold is kept; docs/formats.md lists what that is.

    Args:
        data: the dataset.
        to: the format to write: refer, simrec or jsonl.
        out: the folder to write. It must not exist or must be empty.
        splits: the splits to write. The default is all of them.

    Returns:
        The configuration that reads the converted dataset.

    Raises:
        ConfigError: the format is unknown or cannot be written.
        DataError: the dataset cannot be read, or lacks something that the other format requires; or the folder is not
            empty, or another process is writing it.
        ImageError: the other format requires the size of an image, and its photo is missing.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    out = Path(out)
    check_writable(out)
    write = find_format(to).write
    if write is None:
        writable = [name for name in FORMATS if find_format(name).write is not None]
        raise ConfigError(f"format {to} can only be read, not written; use one of {', '.join(writable)}")
    dataset = known_dataset(data.dataset).short_for or data.dataset
    with AnnotationFiles() as files:
        source = Source.read(data, split_tuple(splits) or split_names(data, files=files), files)
        written = replace(data, path=out, dataset=dataset, format=to, images=source.photos, boxes=None, fields=None)
        with new_folder(out) as folder:
            write(source, written, folder)
    return written
