"""Writer of instances.json, COCO's file of images, categories and annotations."""

from __future__ import annotations

import itertools
import json
from typing import Any

from pycocotools import mask as coco_mask

from aligncat.datasets.categories import COCO_CATEGORIES, canonical_category
from aligncat.datasets.convert.source import Referent, Source
from aligncat.datasets.convert.writing import corner_and_sides, drawn_mask, number_or_text
from aligncat.datasets.formats.instances import Instances
from aligncat.datasets.photos import photo_size
from aligncat.errors import DataError
from aligncat.types import Truth

_COCO_IDS = {canonical_category(name): number for number, name in COCO_CATEGORIES.items()}


def instances_of(source: Source) -> CopiedInstances | NewInstances:
    """Return the instances.json to write: a copy of the source's, or else a new one."""
    given = source.instances()
    return NewInstances(source) if given is None else CopiedInstances(given)


class CopiedInstances:
    """A copy of the source's instances.json."""

    def __init__(self, instances: Instances) -> None:
        self._path = instances.path
        # Reversed, so that the first id counts if a name has several.
        self._categories = {name: number for number, name in reversed(instances.categories.items())}

    def add_image(self, referent: Referent) -> None:
        """Do nothing: the copied file has the image of every referent."""

    def place(self, referent: Referent, category: str) -> tuple[int | str, int]:
        """Return the ids of a referent's annotation (-1 if it has none) and category in the copied file."""
        if category not in self._categories:
            raise DataError(
                f"{self._path}: no category {category!r}, which is the category of referent {referent.id}; add it to "
                "the file's categories"
            )
        annotation_id = referent.as_written.annotation_id
        return -1 if annotation_id is None else number_or_text(annotation_id), self._categories[category]

    def content(self) -> bytes:
        """Return the file's content."""
        return self._path.read_bytes()


class NewInstances:
    """A new instances.json, which contains only the referents."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._images: dict[str, dict[str, Any]] = {}
        self._annotations: dict[int | str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._categories: dict[str, int] = {}

    def add_image(self, referent: Referent) -> dict[str, Any]:
        """Add the image of a referent, and return its row."""
        row = {"id": number_or_text(referent.image_id), "file_name": referent.photo}
        return self._images.setdefault(referent.image_id, row)

    def place(self, referent: Referent, category: str) -> tuple[int | str, int]:
        """Add a referent's annotation and category, and return their ids (-1 for no annotation).

        Raises:
            DataError: another object has the same annotation id.
            ImageError: the size of the image is only known from its photo, which is missing.
        """
        category_id = self._category_id(category)
        image = self.add_image(referent)
        truth = referent.truth
        if truth is None:
            return -1, category_id
        if "width" not in image:
            image["width"], image["height"] = self._size(truth, referent)
        number = self._annotation_id(referent)
        annotation: dict[str, Any] = {
            "id": number,
            "image_id": image["id"],
            "category_id": category_id,
            "bbox": corner_and_sides(truth),
            "iscrowd": 0,
        }
        if truth.mask is not None:
            annotation["segmentation"] = drawn_mask(referent, truth.mask)
            annotation["area"] = int(coco_mask.area(truth.mask))
        annotation |= referent.as_written.annotation
        if self._annotations.setdefault(number, annotation) != annotation:
            raise DataError(
                f"{self._source.config.path}: referent {referent.id} has annotation {number}, which an earlier object "
                "has too; give each object its own annotation id"
            )
        return number, category_id

    def content(self) -> bytes:
        """Return the file's content."""
        categories = [
            {"id": number, "name": name} for name, number in sorted(self._categories.items(), key=lambda item: item[1])
        ]
        document = {
            "images": list(self._images.values()),
            "annotations": list(self._annotations.values()),
            "categories": categories,
        }
        return json.dumps(document, ensure_ascii=False).encode()

    def _annotation_id(self, referent: Referent) -> int | str:
        """Return the annotation's id in the source (several referents may share it), or else the next free one."""
        given = referent.as_written.annotation_id
        return next(n for n in self._numbers if n not in self._annotations) if given is None else number_or_text(given)

    def _category_id(self, name: str) -> int:
        """Return a category's id: COCO's own for a name of COCO's in any spelling, or else a new one above COCO's."""
        if name not in self._categories:
            coco = _COCO_IDS.get(canonical_category(name))
            taken = self._categories.values()
            free = max([*COCO_CATEGORIES, *taken]) + 1
            self._categories[name] = free if coco is None or coco in taken else coco
        return self._categories[name]

    def _size(self, truth: Truth, referent: Referent) -> tuple[int, int]:
        return truth.size or photo_size(
            self._source.photos / referent.photo, f"referent {referent.id} has a box and no mask"
        )
