"""Convert a dataset to another format."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
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
from aligncat.files.new_folder import resumed_folder
from aligncat.files.writable import check_writable


def convert_dataset(
    *,
    data: DataConfig,
    to: str,
    out: str | Path,
    splits: tuple[str, ...] | None = None,
    skip_bad_rows: bool = False,
    default_category: str | None = None,
) -> DataConfig:
    """Write a dataset in another format: REFER's layout, SimREC's JSON with masks, JSON lines, or COCO with a CSV.

    The photos stay where they are. Everything that both formats can hold is kept; docs/formats.md lists what that is.
    If the command is interrupted, running it again continues.

    Args:
        data: the dataset.
        to: the format to write: refer, simrec, jsonl or coco-csv.
        out: the folder to write. It must not exist or must be empty.
        splits: the splits to write. The default is all of them.
        skip_bad_rows: leave out rows that do not follow the format, and bad boxes and masks, and say how many.
        default_category: the category of referents that have none and whose phrases name none.

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
        names = split_tuple(splits) or split_names(data, files=files)
        source = Source.read(data, names, files, skip_bad_rows=skip_bad_rows, default_category=default_category)
        written = replace(data, path=out, dataset=dataset, format=to, images=source.photos, boxes=None, fields=None)
        with resumed_folder(out, _made_from(data, to, names, skip_bad_rows, default_category)) as folder:
            write(source, written, folder)
    return written


def _made_from(data: DataConfig, *settings: object) -> str:
    """Return a text that changes with the settings of a conversion, its annotation files, or aligncat's version."""
    found = [path for pattern in _ANNOTATIONS for path in (*data.path.glob(pattern), *data.path.glob(f"*/{pattern}"))]
    states = [(str(path), status.st_size, status.st_mtime_ns) for path in sorted(found) for status in [path.stat()]]
    return repr((version("aligncat"), data, settings, states))


_ANNOTATIONS = ("*.json", "*.jsonl", "*.p", "*.csv", "*.tsv", "*.parquet")
