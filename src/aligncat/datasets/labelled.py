"""Read COCO's instances.json with its photos, to train a detector on the boxes and masks of all objects.

Boxes and masks of objects go into the training of detectors only, as every detector needs them. The training of a
grounder never reads this module.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aligncat.console import track
from aligncat.datasets.categories import canonical_category
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.bad_rows import BadRows, required_photo
from aligncat.datasets.formats.boxes import XYWH, read_box
from aligncat.datasets.formats.canvas import Canvas, image_size
from aligncat.datasets.formats.instances import Instances
from aligncat.datasets.formats.masks import box_around, read_mask
from aligncat.datasets.photos import size_difference
from aligncat.detectors.training.labelled import LabelledObject, LabelledPhoto
from aligncat.errors import DataError, ImageError
from aligncat.files.images import read_image

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledData:
    """The photos of an instances.json with their objects.

    Attributes:
        path: the file.
        labels: the names of its categories, in the order of their ids.
        photos: its photos, by name.
    """

    path: Path
    labels: tuple[str, ...]
    photos: tuple[LabelledPhoto, ...]


def read_labelled(
    path: Path,
    images: Path,
    *,
    labels: Sequence[str] | None = None,
    skip_bad_rows: bool = False,
    skip_bad_images: bool = False,
) -> LabelledData:
    """Read an instances.json. Every photo is decoded once, so that a broken one is found before the training.

    An object without a mask has its box alone. Photos without objects are kept: they show what is none.

    Args:
        path: the file.
        images: the folder of the photos.
        labels: the classes, if other data decides them. Every category of the file must have one of these names.
        skip_bad_rows: leave out bad annotations and report them, instead of stopping.
        skip_bad_images: leave out photos that are missing or broken and report them, instead of stopping.

    Raises:
        DataError: the file does not follow COCO's format, two categories share a name, a category is not among
            `labels`, or no object is left.
        ImageError: a photo is missing or broken.
    """
    with AnnotationFiles() as files:
        instances = Instances.read(path, files)
    names = _distinct(instances)
    classes = {canonical_category(name): index for index, name in enumerate(names if labels is None else labels)}
    if unknown := [name for name in names if canonical_category(name) not in classes]:
        raise DataError(
            f"{path}: the category {unknown[0]!r} is not among the categories to train on; give both files the same "
            "categories"
        )
    bad_rows = BadRows(path, skip=skip_bad_rows)
    objects: dict[str, list[LabelledObject]] = defaultdict(list)
    for row in instances.annotations.values():
        with bad_rows:
            image_id, labelled = _object(row, instances, classes, bad_rows)
            objects[image_id].append(labelled)
    found = [one for each in objects.values() for one in each if not one.crowd]
    bad_rows.report(len(found))
    photos = _photos(instances, images, objects, skip=skip_bad_images)
    _remark(path, names, classes, [one for photo in photos for one in photo.objects])
    return LabelledData(path, tuple(names), photos)


def _distinct(instances: Instances) -> list[str]:
    """Return the names of the categories, of which no two may be spellings of one."""
    seen: dict[str, tuple[int, str]] = {}
    for number, name in instances.categories.items():
        key = canonical_category(name)
        if key in seen:
            raise DataError(
                f"{instances.path}: the categories {seen[key][0]} ({seen[key][1]!r}) and {number} ({name!r}) have the "
                "same name; join them, or rename one"
            )
        seen[key] = number, name
    if not seen:
        raise DataError(f"{instances.path}: has no categories; name those of its annotations")
    return list(instances.categories.values())


def _object(
    row: Mapping[str, object], instances: Instances, classes: Mapping[str, int], bad_rows: BadRows
) -> tuple[str, LabelledObject]:
    """Return the id of an annotation's image, and the object."""
    place = instances.place(row)
    image_id, image = instances.image(row, place)
    canvas = Canvas(*image_size(image, f"{instances.path}: image {image_id}"), place, bad_rows.remark)
    category = classes[canonical_category(instances.category_name(row, place))]
    mask = read_mask(row.get("segmentation"), canvas)
    if mask is None and "bbox" not in row:
        raise DataError(f"{place}: has neither 'segmentation' nor 'bbox'; give one, or remove the annotation")
    box = read_box(row["bbox"], canvas, XYWH) if mask is None else box_around(mask)
    x1, y1, x2, y2 = map(float, box)
    return image_id, LabelledObject(category, (x1, y1, x2, y2), mask, bool(row.get("iscrowd")))


def _photos(
    instances: Instances, images: Path, objects: Mapping[str, Sequence[LabelledObject]], *, skip: bool
) -> tuple[LabelledPhoto, ...]:
    photos: dict[str, LabelledPhoto] = {}
    broken: list[str] = []
    for image_id, row in track(instances.images.items(), "reading photos", total=len(instances.images), transient=True):
        where = f"{instances.path}: image {image_id}"
        name = required_photo(row, "file_name", where)
        if name in photos:
            raise DataError(f"{where}: the photo {name} is that of an earlier image; give each photo one image")
        try:
            size = read_image(images / name).size
        except ImageError as error:
            if not skip:
                raise ImageError(f"{where}: {error}") from error
            broken.append(f"{where}: {error}")
            continue
        if difference := size_difference(image_size(row, where), size):
            raise DataError(f"{where}: {name}: {difference}")
        photos[name] = LabelledPhoto(name, images / name, size, tuple(objects.get(image_id, ())))
    if broken:
        logger.warning("%d photos left out: %s", len(broken), "; ".join(broken[:3]))
    if not any(not one.crowd for photo in photos.values() for one in photo.objects):
        raise DataError(f"{instances.path}: none of its photos has an annotated object")
    return tuple(photos[name] for name in sorted(photos))


def _remark(path: Path, names: Sequence[str], classes: Mapping[str, int], objects: Sequence[LabelledObject]) -> None:
    """Say what of the data is learned in another way than it may look."""
    there = {one.category for one in objects if not one.crowd}
    if empty := [name for name in names if classes[canonical_category(name)] not in there]:
        logger.warning("%s: categories without objects: %s", path, ", ".join(empty))
    if crowds := sum(one.crowd for one in objects):
        logger.info("%s: %d crowds are not learned", path, crowds)
    if boxes := sum(one.mask is None and not one.crowd for one in objects):
        logger.warning(
            "%s: %d of %d objects have a box and no mask; the whole box is learned as the mask",
            path,
            boxes,
            len(objects) - crowds,
        )
