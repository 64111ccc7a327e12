"""The boxes and masks of a dataset in REFER's layout. Evaluation only: nothing that trains imports this."""

from __future__ import annotations

from collections.abc import Mapping

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats.as_written import AsWritten, kept_of_annotation, kept_of_sentences
from aligncat.datasets.formats.boxes_and_masks import Canvas, image_size, read_box, read_mask
from aligncat.datasets.formats.layout import refs_file
from aligncat.datasets.formats.read_once import read_once
from aligncat.datasets.formats.refer import Instances, refs_of_split
from aligncat.datasets.rows import BadRows, as_mapping, optional_str, required, required_id, required_list, unique_id
from aligncat.errors import DataError
from aligncat.types import Truth


def load_refer_truth(config: DataConfig, split: str, *, skip_bad_rows: bool) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    instances = Instances.read(config)
    annotations = annotations_by_id(instances)
    bad_rows = BadRows(refs_file(config), skip=skip_bad_rows)
    truths: dict[str, Truth] = {}
    for where, row in refs_of_split(config, split, bad_rows):
        with bad_rows:
            referent_id = unique_id(required_id(row, "ref_id", where), truths, where)
            truths[referent_id] = _truth(row, where, instances, annotations)
    bad_rows.report(len(truths))
    return truths


def annotations_by_id(instances: Instances) -> dict[str, Mapping[str, object]]:
    """Annotation id -> its row.

    Raises:
        DataError: when a row has no id, or that of an earlier one.
    """
    return read_once("annotations", instances.path, lambda: _by_id(instances))


def refer_as_written(config: DataConfig, split: str) -> dict[str, AsWritten]:
    """Referent id -> what its files say of it.

    Raises:
        DataError: when a row of the split lacks an id.
    """
    annotations = annotations_by_id(Instances.read(config))
    found: dict[str, AsWritten] = {}
    for where, row in refs_of_split(config, split, BadRows(refs_file(config), skip=False)):
        annotation_id = required_id(row, "ann_id", where)
        found[required_id(row, "ref_id", where)] = AsWritten(
            annotation_id=annotation_id,
            annotation=kept_of_annotation(annotations.get(annotation_id, {})),
            file_name=optional_str(row, "file_name", where),
            sentences=kept_of_sentences(row, where),
        )
    return found


def _by_id(instances: Instances) -> dict[str, Mapping[str, object]]:
    rows: dict[str, Mapping[str, object]] = {}
    for number, value in enumerate(required_list(instances.document, "annotations", str(instances.path))):
        where = f"{instances.path}: annotations[{number}]"
        row = as_mapping(value, where)
        rows[unique_id(required_id(row, "id", where), rows, where)] = row
    return rows


def _truth(
    row: Mapping[str, object],
    where: str,
    instances: Instances,
    annotations: Mapping[str, Mapping[str, object]],
) -> Truth:
    annotation_id = required_id(row, "ann_id", where)
    if annotation_id not in annotations:
        raise DataError(f"{where}: ann_id {annotation_id} is not among the annotations of {instances.path}")
    annotation = annotations[annotation_id]
    place = f"{instances.path}: annotation {annotation_id}"
    image_id, _ = instances.image(row, where)
    if required_id(annotation, "image_id", place) != image_id:
        raise DataError(f"{where}: its image is {image_id}, but {place} is of image {annotation['image_id']}")
    return annotation_truth(annotation, image_id, instances.category_name(row, where), instances)


def annotation_truth(annotation: Mapping[str, object], image_id: str, category: str, instances: Instances) -> Truth:
    """The truth that an annotation tells.

    Args:
        annotation: its row.
        image_id: the image that it is in.
        category: the object's, by name.
        instances: where the annotation and the image are from.

    Raises:
        DataError: the box or the mask is missing or is not what COCO's format asks for.
    """
    place = f"{instances.path}: annotation {annotation['id']}"
    image = instances.images[image_id]
    canvas = Canvas(*image_size(image, f"{instances.path}: image {image_id}"), place)
    segmentation = annotation.get("segmentation")
    return Truth(
        box=read_box(required(annotation, "bbox", place), canvas, corners=False),
        mask=None if segmentation is None else read_mask(segmentation, canvas),
        category=category,
    )
