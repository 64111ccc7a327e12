"""The boxes and masks of a dataset in REFER's layout. Evaluation only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aligncat.datasets.formats.annotations import annotations_truth
from aligncat.datasets.formats.as_written import AsWritten, annotation_details, sentence_details
from aligncat.datasets.formats.bad_rows import BadRows, unique_id
from aligncat.datasets.formats.boxes import XYWH
from aligncat.datasets.formats.refs import ref_category, refer_instances, refs_file, refs_of_split, says_no_target
from aligncat.errors import DataError
from aligncat.files.fields import optional_str, required, required_id

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

    Rows that do not follow the format are left out, since the reader of expressions refuses them.
    """
    annotations = refer_instances(config, files).annotations
    found: dict[str, AsWritten] = {}
    bad_rows = BadRows(refs_file(config), skip=True)
    for where, row in refs_of_split(config, split, files, bad_rows):
        with bad_rows:
            numbers = _annotation_ids(row, where)
            annotation_id = numbers[0] if len(numbers) == 1 else None
            found[required_id(row, "ref_id", where)] = AsWritten(
                annotation_id=annotation_id,
                annotation={} if annotation_id is None else annotation_details(annotations.get(annotation_id, {})),
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
    image_id, _ = instances.image(row, where)
    numbers = _annotation_ids(row, where)
    none = says_no_target(row, where)
    if none != (not numbers):
        found = ", ".join(numbers) or "none"
        raise DataError(
            f"{where}: 'no_target' is {str(none).lower()}, but its annotations are {found}; correct one of them"
        )
    targets = []
    for annotation_id in numbers:
        if annotation_id not in annotations:
            raise DataError(f"{where}: ann_id {annotation_id} is not among the annotations of {instances.path}")
        annotation = annotations[annotation_id]
        place = instances.place(annotation)
        if required_id(annotation, "image_id", place) != image_id:
            raise DataError(f"{where}: its image is {image_id}, but {place} belongs to image {annotation['image_id']}")
        targets.append(annotation)
    if len(targets) > 1:
        # As in gRefCOCO's own reader: a crowd's box is not that of one object.
        targets = [each for each in targets if not each.get("iscrowd")]
        if not targets:
            raise DataError(f"{where}: all of its annotations are crowds; name an annotation of one object")
    return annotations_truth(targets, image_id, ref_category(row, instances, where), instances, XYWH, bad_rows)


def _annotation_ids(row: Mapping[str, object], where: str) -> list[str]:
    """Return the ids of a ref's annotations, each once; none if the list is empty or [-1], gRefCOCO's sign for none."""
    value = required(row, "ann_id", where)
    if not isinstance(value, list):
        return [required_id(row, "ann_id", where)]
    if value == [-1]:
        return []
    return [*dict.fromkeys(required_id({"ann_id": each}, "ann_id", where) for each in value)]
