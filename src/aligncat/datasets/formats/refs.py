"""Find the two files of REFER's layout, and read the rows of refs(<split_by>).p.

REFER calls such a row a ref: one referent with its sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows, check_split_name
from aligncat.datasets.formats.instances import Instances
from aligncat.datasets.formats.layout import existing_file
from aligncat.errors import DataError
from aligncat.files.fields import as_mapping, required_str, shorten
from aligncat.files.pickles import load_plain_pickle

_USUAL_ORDER = ("train", "val", "test", "testA", "testB", "testC")


def refs_file(config: DataConfig) -> Path:
    """Return the path of refs(<split_by>).p, REFER's file of expressions.

    Raises:
        DataError: the file is missing. The message lists the existing files.
    """
    return _dataset_file(config, f"refs({config.split_by}).p", "refs(*).p", "split_by")


def refer_instances(config: DataConfig, files: AnnotationFiles) -> Instances:
    """Read the images, categories and annotations.

    Raises:
        DataError: instances.json is missing, is not JSON, or does not follow COCO's format.
    """
    return Instances.read(_dataset_file(config, "instances.json", "*.json", "path"), files)


def refs_of_split(
    config: DataConfig, split: str, files: AnnotationFiles, bad_rows: BadRows
) -> list[tuple[str, Mapping[str, object]]]:
    """Return the rows of one split in refs(<split_by>).p.

    Args:
        config: the dataset's configuration.
        split: the split's name in the data.
        files: the cache of parsed annotation files.
        bad_rows: raises or skips rows without a valid split name.

    Returns:
        (file and row for messages, row) for each row, in the file's order.

    Raises:
        DataError: the file is missing, is not a list of refs, or has no row of the split.
    """
    path, refs = _refs(config, files)
    rows = []
    splits: set[str] = set()
    for number, value in enumerate(refs):
        with bad_rows:
            where = f"{path}: row {number}"
            row = as_mapping(value, where)
            name = check_split_name(required_str(row, "split", where), where)
            splits.add(name)
            if name == split:
                rows.append((f"{where} (ref_id {shorten(row.get('ref_id'))})", row))
    if not rows:
        raise DataError(f"{path}: no split {split!r}; it has {', '.join(sorted(splits)) or 'no rows'}")
    return rows


def splits_in_refs(config: DataConfig, files: AnnotationFiles) -> tuple[str, ...]:
    """List the splits of refs(<split_by>).p: REFER's own in their usual order, then others in the file's order.

    Raises:
        DataError: the file is missing or is not a list of refs, or the name of a split is not valid.
    """
    path, refs = _refs(config, files)
    names: dict[str, None] = {}
    for number, row in enumerate(refs):
        if isinstance(row, dict) and isinstance(row.get("split"), str):
            names[check_split_name(row["split"], f"{path}: row {number}")] = None
    usual = [name for name in _USUAL_ORDER if name in names]
    return (*usual, *(name for name in names if name not in usual))


def _refs(config: DataConfig, files: AnnotationFiles) -> tuple[Path, list[object]]:
    path = refs_file(config)
    refs = files.read(load_plain_pickle, path)
    if not isinstance(refs, list):
        raise DataError(f"{path}: must hold a list of refs, not {type(refs).__name__}")
    return path, refs


def _dataset_file(config: DataConfig, name: str, pattern: str, option: str) -> Path:
    folder = config.path / config.dataset
    # A dataset may have any name, so a misspelt name shows up as a folder that does not exist. The message then names
    # all three options that it may come from; `existing_file` adds the outer backticks.
    return existing_file(folder / name, pattern, option if folder.is_dir() else "path`, `dataset` and `format")
