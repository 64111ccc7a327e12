"""Audit of a detector: which evaluation photos, of a dataset and of related ones, are among its training images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats import USUAL_FORMAT
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.refs import refs_file
from aligncat.datasets.known import known_dataset
from aligncat.datasets.load import load_split, split_names
from aligncat.datasets.prepare.prepare import SETS
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.evaluation.leak import SplitAudit, audit_split
from aligncat.evaluation.training_images import TrainingImages, read_training_images, without
from aligncat.files.locks import folder_lock
from aligncat.files.name_lists import write_names

LEAVE_OUT = "leave-out.txt"
TRAIN_ON = "train-on.txt"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DetectorAudit:
    """The overlap between a detector's training images and the evaluation photos of some datasets.

    Attributes:
        training: the detector's training images.
        splits: the counts, one per split of each dataset.
        photos: the file names of all photos in these splits, sorted.
        absent: related datasets that could not be counted, because their files are not in the folder.
    """

    training: TrainingImages
    splits: tuple[SplitAudit, ...]
    photos: tuple[str, ...]
    absent: tuple[DataConfig, ...]


def audit_detector(
    detector_images: str,
    data: DataConfig,
    splits: tuple[str, ...] | None = None,
    *,
    skip_bad_rows: bool = False,
) -> DetectorAudit:
    """Count the evaluation photos that a detector was trained on.

    RefCOCO, RefCOCO+ and RefCOCOg share their photos. If `data` is one of them, the others in the same folder are
    counted too.

    Args:
        detector_images: the detector's training images; see `read_training_images`.
        data: the dataset to evaluate on. Its photos are not needed.
        splits: the evaluation splits; by default all except "train". A related dataset may lack some of them.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.

    Raises:
        DataError: the dataset or the list of training images cannot be read.
    """
    training = read_training_images(detector_images)
    related = related_datasets(data)
    present = [each for each in related if _has_annotations(each)]
    read: list[Split] = []
    for config in (data, *present):
        with AnnotationFiles() as files:
            names = splits if splits and config is data else _splits_to_audit(config, splits, files)
            read += (
                load_split(config, name, skip_bad_rows=skip_bad_rows, check_images=False, files=files) for name in names
            )
    return DetectorAudit(
        training=training,
        splits=tuple(audit_split(split, training) for split in read),
        photos=tuple(sorted({record.path.name for split in read for record in split.images.values()})),
        absent=tuple(each for each in related if each not in present),
    )


def related_datasets(data: DataConfig) -> list[DataConfig]:
    """Return the other datasets of the RefCOCO family in the same folder, whether or not their files exist.

    The list is empty for a dataset whose photos are not COCO's.
    """
    if known_dataset(data.dataset).photos != "coco":
        return []
    family = [
        replace(data, dataset=dataset, split_by=split_by, format=USUAL_FORMAT)
        for dataset, split_by in SETS.values()
        if known_dataset(dataset).photos == "coco"
    ]
    return [each for each in family if each.division != data.division]


def write_lists(audit: DetectorAudit, out: Path) -> None:
    """Write the photos to leave out of a detector's training, and the training images that remain.

    `leave-out.txt` has the file names of `DetectorAudit.photos`. `train-on.txt` has the training images without them;
    it is written only if the training images were given as a file.

    Args:
        audit: the counts.
        out: the folder; it is created.

    Raises:
        DataError: another process is writing there.
        WriteError: the folder cannot be written, for example because the disk is full.
    """
    with folder_lock(out):
        _write_lists(audit, out)


def _write_lists(audit: DetectorAudit, out: Path) -> None:
    _write_list(out / LEAVE_OUT, audit.photos)
    if audit.training.listed is None:
        logger.info(
            "%s is a name without a list of images, so %s was not written; to get it, give the detector's annotation "
            "file (instances_*.json)",
            audit.training.name,
            TRAIN_ON,
        )
    else:
        _write_list(out / TRAIN_ON, without(audit.training.listed, audit.photos))
    if audit.absent:
        logger.warning(
            "%s does not cover %s, which share these photos but have no files in %s; to evaluate on them too, put them "
            "there (`aligncat data prepare`) and run the audit again",
            out,
            ", ".join(each.division for each in audit.absent),
            audit.absent[0].path,
        )


def _splits_to_audit(config: DataConfig, splits: tuple[str, ...] | None, files: AnnotationFiles) -> list[str]:
    """Return the dataset's splits that were asked for, or all except "train"."""
    return [split for split in split_names(config, files=files) if (split in splits if splits else split != "train")]


def _has_annotations(data: DataConfig) -> bool:
    try:
        refs_file(data)
    except DataError:
        return False
    return True


def _write_list(path: Path, names: Sequence[str]) -> None:
    write_names(path, names)
    logger.info("%s: %s photos", path, f"{len(names):,}")
