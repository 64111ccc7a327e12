"""Read expressions in REFER's layout: refs(<split_by>).p, instances.json and images.

The layout is that of github.com/lichengunc/refer, in which RefCOCO, RefCOCO+ and RefCOCOg are spread and
MojiRef is written. Nothing here looks at a box or a mask; `refer_truth` does, for evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.layout import image_folder, instances_file, likely_image_folder, refs_file
from aligncat.datasets.formats.read_once import read_once
from aligncat.datasets.rows import (
    BadRows,
    as_mapping,
    check_split_name,
    expression_text,
    optional_str,
    optional_strs,
    parse_json,
    read_text,
    required,
    required_id,
    required_int,
    required_list,
    required_photo,
    required_str,
    shorten,
    unique_id,
)
from aligncat.datasets.split import Split
from aligncat.errors import DataError, ImageError
from aligncat.files.pickles import load_plain_pickle
from aligncat.types import Expression, ImageRecord

_USUAL_ORDER = ("train", "val", "test", "testA", "testB", "testC")


@dataclass(frozen=True)
class Instances:
    """What instances.json says of images and categories.

    Attributes:
        path: the file.
        document: all of it.
        images: image id -> its row.
        categories: category id -> name, in the order of the ids.
    """

    path: Path
    document: Mapping[str, object]
    images: dict[str, Mapping[str, object]]
    categories: dict[int, str]

    @classmethod
    def read(cls, config: DataConfig) -> Instances:
        """Read the file.

        Raises:
            DataError: when it is missing, not JSON, or not as COCO's format asks.
        """
        path = instances_file(config)
        return read_once("instances", path, lambda: cls._parse(path))

    @classmethod
    def _parse(cls, path: Path) -> Instances:
        document = as_mapping(parse_json(read_text(path), str(path)), str(path))
        images: dict[str, Mapping[str, object]] = {}
        for number, value in enumerate(required_list(document, "images", str(path))):
            where = f"{path}: images[{number}]"
            row = as_mapping(value, where)
            images[unique_id(required_id(row, "id", where), images, where)] = row
        categories: dict[int, str] = {}
        for number, value in enumerate(required_list(document, "categories", str(path))):
            where = f"{path}: categories[{number}]"
            row = as_mapping(value, where)
            categories[unique_id(required_int(row, "id", where), categories, where)] = required_str(row, "name", where)
        return cls(path, document, images, dict(sorted(categories.items())))

    def category_name(self, row: Mapping[str, object], where: str) -> str:
        """The name of a ref's category.

        Raises:
            DataError: when instances.json does not have it.
        """
        number = required_int(row, "category_id", where)
        if number not in self.categories:
            known = ", ".join(map(str, self.categories))
            raise DataError(f"{where}: category_id {number} is not in {self.path}, which has {known}")
        return self.categories[number]

    def image(self, row: Mapping[str, object], where: str) -> tuple[str, Mapping[str, object]]:
        """The id and the row of a ref's image.

        Raises:
            DataError: when instances.json does not have it.
        """
        image_id = required_id(row, "image_id", where)
        if image_id not in self.images:
            raise DataError(f"{where}: image_id {image_id} is not among the images of {self.path}")
        return image_id, self.images[image_id]


def load_refer_split(config: DataConfig, split: str, *, skip_bad_rows: bool, check_images: bool) -> Split:
    """Read one split; see `load_split`."""
    instances = Instances.read(config)
    bad_rows = BadRows(refs_file(config), skip=skip_bad_rows)
    referents: set[str] = set()
    expressions: dict[str, Expression] = {}
    image_names: dict[str, str] = {}
    for where, row in refs_of_split(config, split, bad_rows):
        with bad_rows:
            referent_id = unique_id(required_id(row, "ref_id", where), referents, where)
            image_id, image = instances.image(row, where)
            category = instances.category_name(row, where)
            file_name = required_photo(image, "file_name", f"{instances.path}: image {image_id}")
            sentences = required_list(row, "sentences", where)
            if not sentences:
                raise DataError(f"{where}: 'sentences' is empty")
            referents.add(referent_id)
            for number, sentence in enumerate(sentences):
                with bad_rows:
                    place = f"{where}, sentences[{number}]"
                    expression = _expression(sentence, place, referent_id, image_id, category)
                    expressions[unique_id(expression.id, expressions, place)] = expression
                    image_names[image_id] = file_name
    images = image_records(config, image_names, bad_rows, check=check_images)
    kept = tuple(expression for expression in expressions.values() if expression.image_id in images)
    bad_rows.report(len(kept))
    return Split(config.dataset, split, config.split_by, images, kept, tuple(instances.categories.values()))


def refs_of_split(config: DataConfig, split: str, bad_rows: BadRows) -> list[tuple[str, Mapping[str, object]]]:
    """The rows of one split in refs(<split_by>).p.

    Args:
        config: where the dataset is.
        split: the split's name, as in the data.
        bad_rows: what to do about rows that do not say their split.

    Returns:
        (file and row for messages, row) in the file's order.

    Raises:
        DataError: when the file is missing or not a list of refs, or has no row of the split.
    """
    path, refs = _refs(config)
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


def splits_in_refs(config: DataConfig) -> tuple[str, ...]:
    """The names of the splits that refs(<split_by>).p has: REFER's in their usual order, then others as they come up.

    Raises:
        DataError: when the file is missing or not a list of refs, or a name cannot be a split's.
    """
    path, refs = _refs(config)
    names: dict[str, None] = {}
    for number, row in enumerate(refs):
        if isinstance(row, dict) and isinstance(row.get("split"), str):
            names[check_split_name(row["split"], f"{path}: row {number}")] = None
    usual = [name for name in _USUAL_ORDER if name in names]
    return (*usual, *(name for name in names if name not in usual))


def _refs(config: DataConfig) -> tuple[Path, list[object]]:
    path = refs_file(config)
    refs = read_once("refs", path, lambda: load_plain_pickle(path))
    if not isinstance(refs, list):
        raise DataError(f"{path}: must hold a list of refs, not {type(refs).__name__}")
    return path, refs


def _expression(value: object, where: str, referent_id: str, image_id: str, category: str) -> Expression:
    """One sentence of a ref: `sent`, which every published method reads, not `raw`, which REFER cleaned."""
    sentence = as_mapping(value, where)
    return Expression(
        id=required_id(sentence, "sent_id", where),
        referent_id=referent_id,
        image_id=image_id,
        text=expression_text(required(sentence, "sent", where), where),
        category=category,
        needed=optional_strs(sentence, "needed", where),
        redundant=optional_strs(sentence, "redundant", where),
        kind=optional_str(sentence, "kind", where),
    )


def image_records(
    config: DataConfig, file_names: Mapping[str, str], bad_rows: BadRows, *, check: bool
) -> dict[str, ImageRecord]:
    """Find a dataset's images.

    Args:
        config: where the dataset is.
        file_names: image id -> file, below the folder of the images.
        bad_rows: what to do about an image that is missing.
        check: whether to look for them at all.

    Returns:
        Image id -> record of the images that exist, or of all of them when that is not to be checked.
    """
    if not file_names:
        return {}
    if not check:
        folder = likely_image_folder(config)
        return {image_id: ImageRecord(image_id, folder / name) for image_id, name in file_names.items()}
    folder = image_folder(config, file_names.values())
    records = {}
    for image_id, name in file_names.items():
        with bad_rows:
            path = folder / name
            if not path.is_file():
                raise ImageError(f"{path}: no such file, but {config.dataset} has expressions of image {image_id}")
            records[image_id] = ImageRecord(image_id, path)
    return records
