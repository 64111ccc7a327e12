"""aligncat audit: has the detector seen the photos that it is evaluated on?"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aligncat.console import output_console
from aligncat.datasets.config import DataConfig
from aligncat.datasets.formats import USUAL_FORMAT
from aligncat.datasets.formats.annotation_files import AnnotationFiles
from aligncat.datasets.formats.refs import refs_file
from aligncat.datasets.known import known_dataset
from aligncat.datasets.load import load_split, split_names
from aligncat.datasets.prepare.prepare import SETS
from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.evaluation.leak import SplitAudit, TrainingImages, audit_split, read_training_images, without
from aligncat.files.atomic import write_atomic

LEAVE_OUT = "leave-out.txt"
TRAIN_ON = "train-on.txt"
_STYLES = {"clean": "green", "leaked": "red", "unknown": "yellow"}

logger = logging.getLogger(__name__)


def audit(
    *,
    detector_images: str,
    data: DataConfig,
    splits: tuple[str, ...] | None = None,
    out: Path | None = None,
    skip_bad_rows: bool = False,
) -> list[SplitAudit]:
    """Count the evaluation photos that a detector was trained on, and list what to train on without them.

    RefCOCO, RefCOCO+ and RefCOCOg are cut from the same photos, so with one of them the others that lie beside it are
    counted too, and one list serves all. Those that are not there are named, as the list does not serve them.

    Args:
        detector_images: the images that the detector was trained on: coco-train2017, coco-train2014, or a file: one of
            COCO's annotation files (instances_train2017.json) or a text with a file name or a COCO id a line.
        data: the dataset that it is evaluated on. Its photos need not be there.
        splits: the splits that are evaluated on; by default all but "train". Of the sets beside the dataset those
            count that they have.
        out: a folder for leave-out.txt, the file names of all photos counted, and train-on.txt: what the file
            `detector_images` lists without them. coco-train2017 and coco-train2014 are names without a list, so that
            with them there is no train-on.txt.
        skip_bad_rows: leave out bad rows of the dataset and report them, instead of stopping.

    Returns:
        One count a split.

    Raises:
        DataError: the dataset or the list cannot be read.
        OSError: the folder cannot be written.
    """
    training = read_training_images(detector_images)
    read: list[Split] = []
    kin = _kin(data)
    for config in (data, *filter(_is_there, kin)):
        with AnnotationFiles() as files:
            names = _evaluated(config, splits, files, whole=config is data)
            read += (
                load_split(config, name, skip_bad_rows=skip_bad_rows, check_images=False, files=files) for name in names
            )
    audits = [audit_split(split, training) for split in read]
    output_console().print(audit_table(audits, training.name))
    if out is not None:
        _write_lists(out, training, read)
        if absent := [each for each in kin if not _is_there(each)]:
            logger.warning(
                "%s does not serve %s, which are cut from the same photos but not in %s in REFER's layout: to evaluate "
                "on them too, put them there (`aligncat data prepare`) and repeat",
                out,
                ", ".join(each.division for each in absent),
                data.path,
            )
    return audits


def audit_table(audits: list[SplitAudit], name: str) -> Table:
    """One line a split: its photos, those that the detector was trained on, and the verdict."""
    table = Table(title=Text(f"evaluation photos in {name}"), box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Dataset", "Split by", "Split"):
        table.add_column(heading)
    for heading in ("Photos", "Trained on", "Cannot be known"):
        table.add_column(heading, justify="right")
    table.add_column("Verdict")
    for each in audits:
        counts = (f"{count:,}" for count in (each.images, each.seen, each.unknown))
        extent = f" ({each.seen:,} of {each.images:,})" if each.seen else ""
        verdict = Text(each.verdict + extent, style=_STYLES[each.verdict])
        table.add_row(each.dataset, each.split_by or "none", each.split, *counts, verdict)
    return table


def _evaluated(config: DataConfig, splits: tuple[str, ...] | None, files: AnnotationFiles, *, whole: bool) -> list[str]:
    """The splits of a set that are evaluated on: those asked for, of which a set beside the dataset may lack some."""
    if splits and whole:
        return list(splits)
    return [split for split in split_names(config, files=files) if (split in splits if splits else split != "train")]


def _kin(data: DataConfig) -> list[DataConfig]:
    """The sets that are cut from the same photos as one of RefCOCO's, in the same folder, whether there or not."""
    if known_dataset(data.dataset).photos != "coco":
        return []
    kin = [
        replace(data, dataset=dataset, split_by=split_by, format=USUAL_FORMAT)
        for dataset, split_by in SETS.values()
        if known_dataset(dataset).photos == "coco"
    ]
    return [each for each in kin if each.division != data.division]


def _is_there(data: DataConfig) -> bool:
    try:
        refs_file(data)
    except DataError:
        return False
    return True


def _write_lists(out: Path, training: TrainingImages, splits: list[Split]) -> None:
    photos = sorted({record.path.name for split in splits for record in split.images.values()})
    out.mkdir(parents=True, exist_ok=True)
    _write_lines(out / LEAVE_OUT, photos)
    if training.listed is None:
        logger.info(
            "%s has no list of its own: give its annotation file (instances_*.json) to have %s", training.name, TRAIN_ON
        )
    else:
        _write_lines(out / TRAIN_ON, without(training.listed, photos))


def _write_lines(path: Path, lines: list[str]) -> None:
    write_atomic(path, "".join(f"{line}\n" for line in lines).encode())
    logger.info("%s: %s photos", path, f"{len(lines):,}")
