"""Boxes, masks and categories of the annotations in instances.json. Evaluation only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from aligncat.datasets.formats.boxes import BoxNumbers, read_box
from aligncat.datasets.formats.canvas import Canvas, image_size
from aligncat.datasets.formats.masks import joined_truth, read_mask
from aligncat.errors import DataError
from aligncat.files.fields import as_mapping, required, required_id, required_list
from aligncat.types import Truth

if TYPE_CHECKING:
    from aligncat.datasets.formats.bad_rows import BadRows
    from aligncat.datasets.formats.format import Objects
    from aligncat.datasets.formats.instances import Instances


def annotation_truth(
    annotation: Mapping[str, object],
    image_id: str,
    category: str | None,
    instances: Instances,
    numbers: BoxNumbers,
    bad_rows: BadRows,
) -> Truth:
    """Read the box and mask of one annotation.

    Args:
        annotation: the annotation's row.
        image_id: the id of its image.
        category: the name of the object's category, or None.
        instances: the file that holds the annotation and the image.
        numbers: what the numbers of its box mean.
        bad_rows: collects remarks about its mask.

    Raises:
        DataError: the box is missing, or the box or the mask does not follow COCO's format.
    """
    place = instances.place(annotation)
    image = instances.images[image_id]
    canvas = Canvas(*image_size(image, f"{instances.path}: image {image_id}"), place, bad_rows.remark)
    return Truth.of_one(
        box=read_box(required(annotation, "bbox", place), canvas, numbers),
        mask=read_mask(annotation.get("segmentation"), canvas),
        category=category,
        size=canvas.size,
    )


def annotations_truth(
    annotations: Sequence[Mapping[str, object]],
    image_id: str,
    category: str | None,
    instances: Instances,
    numbers: BoxNumbers,
    bad_rows: BadRows,
) -> Truth:
    """Read the boxes and masks of the annotations that an expression means: none, one or several of one image.

    Args:
        annotations: the annotations' rows.
        image_id: the id of the image.
        category: the name of the objects' category; None if they have several.
        instances: the file that holds the annotations and the image.
        numbers: what the numbers of the boxes mean.
        bad_rows: collects remarks about the masks.

    Raises:
        DataError: a box is missing, or a box or a mask does not follow COCO's format.
    """
    found = [annotation_truth(each, image_id, category, instances, numbers, bad_rows) for each in annotations]
    size = image_size(instances.images[image_id], f"{instances.path}: image {image_id}")
    return joined_truth([(each.box, each.mask) for each in found], category, size)


def annotated_objects(instances: Instances, images: Container[str], numbers: BoxNumbers) -> Objects:
    """List all annotated objects of the given images, except crowds.

    Boxes without area are included; they overlap nothing.

    Args:
        instances: the annotations.
        images: ids of the images.
        numbers: what the numbers of the boxes mean.

    Raises:
        DataError: an annotation does not follow COCO's format.
    """
    found: dict[str, list[tuple[list[float], str]]] = defaultdict(list)
    for number, value in enumerate(required_list(instances.document, "annotations", str(instances.path))):
        where = f"{instances.path}: annotations[{number}]"
        row = as_mapping(value, where)
        image_id = required_id(row, "image_id", where)
        if image_id in images and not row.get("iscrowd"):
            box = _four_numbers(row, where)
            # Pixels need no size, which may be missing.
            image = instances.images[image_id]
            size = (0, 0) if numbers.in_pixels else image_size(image, f"{instances.path}: image {image_id}")
            found[image_id].append((numbers.to_pixels(box, *size), instances.category_name(row, where)))
    return {
        image_id: (np.array([box for box, _ in objects], dtype=np.float64), [name for _, name in objects])
        for image_id, objects in found.items()
    }


def _four_numbers(row: Mapping[str, object], where: str) -> list[float]:
    box = required_list(row, "bbox", where)
    numbers = [float(side) for side in box if isinstance(side, int | float)]
    if len(box) != 4 or len(numbers) != 4 or not np.isfinite(numbers).all():
        raise DataError(f"{where}: the box must be four finite numbers, not {box!r:.60}")
    return numbers
