"""Find the two files of REFER's layout, and read the rows of refs(<split_by>).p.

REFER calls such a row a ref: one referent with its sentences. gRefCOCO has the same layout, with grefs(<split_by>).json
(or .p) in place of refs(<split_by>).p. A row's "ann_id" and "category_id" are lists there, because a sentence may mean
several objects. If it means none, "no_target" is true and both lists are [-1].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows, check_split_name
from aligncat.datasets.formats.instances import Instances
from aligncat.datasets.formats.layout import existing_file
from aligncat.errors import DataError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, read_json
from aligncat.files.fields import as_mapping, optional_flag, required, required_str, shorten
from aligncat.files.pickles import load_plain_pickle

T = TypeVar("T")

_USUAL_ORDER = ("train", "val", "test", "testA", "testB", "testC")


def refs_file(config: DataConfig) -> Path:
    """Return the path of the file of expressions: refs(<split_by>).p of REFER, or grefs(<split_by>).json of gRefCOCO.

    Raises:
        DataError: the file is missing. The message lists the existing files.
    """
    usual, *others = (name.format(config.split_by) for name in ("refs({}).p", "grefs({}).p", "grefs({}).json"))
    for name in (usual, *others):
        if (path := config.path / config.dataset / name).is_file():
            return path
    return _dataset_file(config, usual, "*refs(*", "split_by")


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


def says_no_target(row: Mapping[str, object], where: str) -> bool:
    """Return whether a ref says that its image shows nothing that its sentences mean.

    Args:
        row: the ref. Its "no_target" is true then, and the only category -1.
        where: file and row, for messages.

    Raises:
        DataError: "no_target" is not true or false.
    """
    return optional_flag(row, "no_target", where) or as_list(row.get("category_id")) == [-1]


def ref_category(row: Mapping[str, object], instances: Instances, where: str) -> str | None:
    """Return the category of a ref's objects; None if they have several, or if there is no object.

    Args:
        row: the ref, with its "category_id", one or a list.
        instances: the file that names the categories.
        where: file and row, for messages.

    Raises:
        DataError: the file has no category with one of the ids.
    """
    if says_no_target(row, where):
        return None
    numbers = as_list(required(row, "category_id", where))
    names = {instances.category_name({"category_id": number}, where) for number in numbers}
    return names.pop() if len(names) == 1 else None


def as_list(value: T | list[T]) -> list[T]:
    """Return a list as it is, and any other value as a list of one."""
    return value if isinstance(value, list) else [value]


def _refs(config: DataConfig, files: AnnotationFiles) -> tuple[Path, list[object]]:
    path = refs_file(config)
    refs = files.read(load_plain_pickle if path.suffix == ".p" else _read_rows, path)
    if not isinstance(refs, list):
        raise DataError(f"{path}: must hold a list of refs, not {type(refs).__name__}")
    return path, refs


def _read_rows(path: Path) -> object:
    return read_json(path, limit=MAX_ANNOTATION_BYTES, by_row=True)


def _dataset_file(config: DataConfig, name: str, pattern: str, option: str) -> Path:
    folder = config.path / config.dataset
    # A dataset may have any name, so a misspelt name shows up as a folder that does not exist. The message then names
    # all three options that it may come from; `existing_file` adds the outer backticks.
    return existing_file(folder / name, pattern, option if folder.is_dir() else "path`, `dataset` and `format")
