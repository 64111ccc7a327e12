"""aligncat audit: count the evaluation photos that a detector was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from aligncat.datasets.config import DataConfig
from aligncat.files.writable import check_writable

if TYPE_CHECKING:
    from aligncat.evaluation.audit import DetectorAudit


def audit(
    *,
    detector_images: str,
    data: DataConfig,
    splits: tuple[str, ...] | None = None,
    out: str | Path | None = None,
    skip_bad_rows: bool = False,
) -> DetectorAudit:
    """Count the evaluation photos that a detector was trained on, and list the images to train on without them.

    RefCOCO, RefCOCO+ and RefCOCOg share their photos. If the dataset is one of them, the others in the same folder
    are counted too, so that one list serves all. A warning names those that are not in the folder, because the list
    does not cover them.

    Args:
        detector_images: the images that the detector was trained on: coco-train2017, coco-train2014, or a file. The
            file is a COCO annotation file (instances_train2017.json), or a text file with one file name or COCO id
            per line.
        data: the dataset to evaluate on. Its photos are not needed.
        splits: the evaluation splits; by default all except "train". A related dataset may lack some of them.
        out: a folder for two lists: leave-out.txt has the file names of all counted photos, and train-on.txt has the
            images of the file `detector_images` without them. coco-train2017 and coco-train2014 are names without a
            list of images, so with them there is no train-on.txt.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.

    Returns:
        The counts, one per split.

    Raises:
        DataError: the dataset or the list of training images cannot be read.
        OSError: the folder cannot be written.
    """
    if out is not None:
        check_writable(out)
    from aligncat.console import output_console
    from aligncat.datasets.split import split_tuple
    from aligncat.evaluation.audit import audit_detector, write_lists
    from aligncat.report.dataset_tables import audit_table

    found = audit_detector(detector_images, data, split_tuple(splits) or None, skip_bad_rows=skip_bad_rows)
    output_console().print(audit_table(found))
    if out is not None:
        write_lists(found, Path(out))
    return found
