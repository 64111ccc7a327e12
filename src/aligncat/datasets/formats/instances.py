"""Reader of instances.json, COCO's file of images, categories and annotations (cocodataset.org/#format-data).

This module does not look at the boxes and masks in the file. The module `annotations` reads them for evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import unique_id
from aligncat.errors import DataError
from aligncat.files.documents import MAX_ANNOTATION_BYTES, read_json
from aligncat.files.fields import (
    as_mapping,
    required,
    required_id,
    required_int,
    required_list,
    required_str,
    whole,
)


@dataclass(frozen=True)
class Instances:
    """The content of an instances.json.

    Attributes:
        path: the file.
        document: its whole content.
        images: image id -> its row.
        categories: category id -> name, in the order of the ids.
    """

    path: Path
    document: Mapping[str, object]
    images: dict[str, Mapping[str, object]]
    categories: dict[int, str]

    @classmethod
    def read(cls, path: Path, files: AnnotationFiles) -> Instances:
        """Read the file, or return its cached content.

        Raises:
            DataError: the file is not JSON or does not follow COCO's format.
        """
        return files.read(_parse, path)

    @cached_property
    def annotations(self) -> dict[str, Mapping[str, object]]:
        """Annotation id -> its row.

        Raises:
            DataError: a row has no id, or the id of an earlier row.
        """
        rows: dict[str, Mapping[str, object]] = {}
        for number, value in enumerate(required_list(self.document, "annotations", str(self.path))):
            where = f"{self.path}: annotations[{number}]"
            row = as_mapping(value, where)
            rows[unique_id(required_id(row, "id", where), rows, where)] = row
        return rows

    def place(self, annotation: Mapping[str, object]) -> str:
        """Return the file and the annotation, for messages."""
        return f"{self.path}: annotation {annotation['id']}"

    def category_name(self, row: Mapping[str, object], where: str) -> str:
        """Return the name of the category of an annotation or a ref (a row of REFER's refs(<split_by>).p).

        Args:
            row: the annotation or the ref, with its "category_id".
            where: file and row, for messages.

        Raises:
            DataError: instances.json has no category with this id.
        """
        number = _category_id(row, "category_id", where)
        if number not in self.categories:
            known = ", ".join(map(str, self.categories))
            raise DataError(f"{where}: category_id {number} is not in {self.path}, which has the ids {known}")
        return self.categories[number]

    def image(self, row: Mapping[str, object], where: str) -> tuple[str, Mapping[str, object]]:
        """Return the id and the row of a ref's or an annotation's image.

        Args:
            row: the ref or the annotation, with its "image_id".
            where: file and row, for messages.

        Raises:
            DataError: instances.json has no image with this id.
        """
        image_id = required_id(row, "image_id", where)
        if image_id not in self.images:
            raise DataError(f"{where}: image_id {image_id} is not among the images of {self.path}")
        return image_id, self.images[image_id]


def _category_id(row: Mapping[str, object], key: str, where: str) -> int:
    return required_int({key: whole(required(row, key, where))}, key, where)


def _parse(path: Path) -> Instances:
    document = as_mapping(read_json(path, limit=MAX_ANNOTATION_BYTES, by_row=True), str(path))
    images: dict[str, Mapping[str, object]] = {}
    for number, value in enumerate(required_list(document, "images", str(path))):
        where = f"{path}: images[{number}]"
        row = as_mapping(value, where)
        images[unique_id(required_id(row, "id", where), images, where)] = row
    categories: dict[int, str] = {}
    for number, value in enumerate(required_list(document, "categories", str(path))):
        where = f"{path}: categories[{number}]"
        row = as_mapping(value, where)
        categories[unique_id(_category_id(row, "id", where), categories, where)] = required_str(row, "name", where)
    return Instances(path, document, images, dict(sorted(categories.items())))
