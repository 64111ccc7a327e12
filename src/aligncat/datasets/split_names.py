"""Which splits a dataset has."""

from __future__ import annotations

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.coco_csv import csv_splits
from aligncat.datasets.formats.hub import hub_splits
from aligncat.datasets.formats.refer import splits_in_refs
from aligncat.datasets.formats.simrec import simrec_splits
from aligncat.datasets.rows import check_split_name
from aligncat.errors import DataError


def split_names(config: DataConfig) -> tuple[str, ...]:
    """The names of the splits that a dataset's files have.

    Args:
        config: the dataset.

    Returns:
        The names, the training split first.

    Raises:
        DataError: the files that say it are missing or cannot be read, or a name cannot be a split's.
    """
    if config.file_format == "jsonl":
        found = (check_split_name(path.stem, str(path)) for path in config.path.glob("*.jsonl"))
        names = sorted(found, key=lambda name: (name != "train", name))
        if not names:
            raise DataError(f"{config.path} holds no <split>.jsonl: give the folder that does")
        return tuple(names)
    if config.file_format != "refer":
        return {"simrec": simrec_splits, "hub": hub_splits, "coco-csv": csv_splits}[config.file_format](config)
    return splits_in_refs(config)
