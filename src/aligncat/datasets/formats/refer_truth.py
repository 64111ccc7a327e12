"""The boxes and masks of a dataset in REFER's layout. Evaluation only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aligncat.datasets.formats.annotations import annotation_truth
from aligncat.datasets.formats.as_written import AsWritten, annotation_details, sentence_details
from aligncat.datasets.formats.bad_rows import BadRows, unique_id
from aligncat.datasets.formats.boxes import XYWH
from aligncat.datasets.formats.refs import refer_instances, refs_file, refs_of_split
from aligncat.errors import DataError
from aligncat.files.fields import optional_str, required_id

if TYPE_CHECKING:
    from aligncat.datasets.config import DataConfig
    from aligncat.datasets.formats.annotation_files import AnnotationFiles
    from aligncat.datasets.formats.format import ReadOptions
    from aligncat.datasets.formats.instances import Instances
    from aligncat.types import Truth


def read_refer_truth(config: DataConfig, split: str, options: ReadOptions) -> dict[str, Truth]:
    """Read the truth of one split; see `load_truth`."""
    instances = refer_instances(config, options.files)
    annotations = instances.annotations
    bad_rows = options.bad_rows(refs_file(config))
    truths: dict[str, Truth] = {}
    for where, row in refs_of_split(config, split, options.files, bad_rows):
        with bad_rows:
            referent_id = unique_id(required_id(row, "ref_id", where), truths, where)
            truths[referent_id] = _truth(row, where, instances, annotations, bad_rows)
    bad_rows.report(len(truths))
    return truths


def refer_as_written(config: DataConfig, split: str, files: AnnotationFiles) -> dict[str, AsWritten]:
    """Read the details that only conversions use, by referent id.

    Raises:
        DataError: a row of the split lacks an id.
    """
    annotations = refer_instances(config, files).annotations
    found: dict[str, AsWritten] = {}
    for where, row in refs_of_split(config, split, files, BadRows(refs_file(config), skip=False)):
        annotation_id = required_id(row, "ann_id", where)
        found[required_id(row, "ref_id", where)] = AsWritten(
            annotation_id=annotation_id,
            annotation=annotation_details(annotations.get(annotation_id, {})),
            file_name=optional_str(row, "file_name", where),
            sentences=sentence_details(row, where),
        )
    return found


def _truth(
    row: Mapping[str, object],
    where: str,
    instances: Instances,
    annotations: Mapping[str, Mapping[str, object]],
    bad_rows: BadRows,
) -> Truth:
    annotation_id = required_id(row, "ann_id", where)
    if annotation_id not in annotations:
        raise DataError(f"{where}: ann_id {annotation_id} is not among the annotations of {instances.path}")
    annotation = annotations[annotation_id]
    place = instances.place(annotation)
    image_id, _ = instances.image(row, where)
    if required_id(annotation, "image_id", place) != image_id:
        raise DataError(f"{where}: its image is {image_id}, but {place} belongs to image {annotation['image_id']}")
    category = instances.category_name(row, where)
    return annotation_truth(annotation, image_id, category, instances, XYWH, bad_rows)
