"""Writer of COCO's annotations with a CSV of phrases."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Referent, Source
from aligncat.datasets.convert.writing import refuse_other_than_one, tracked_referents
from aligncat.datasets.formats.instances_writer import instances_of
from aligncat.errors import DataError

COLUMNS = ("image_id", "annotation_id", "phrase", "split", "sentence_id")
"""The columns of the CSV, in the order in which they are written."""

logger = logging.getLogger(__name__)


def write_coco_csv(source: Source, config: DataConfig, folder: Path) -> None:
    """Write instances.json and phrases.csv, one line per sentence.

    If the source has an instances.json, it is copied, including the objects that no expression refers to.

    Args:
        source: the dataset to write.
        config: the configuration that will read the result.
        folder: the folder to write into.

    Raises:
        DataError: a referent with a box has no category, or two objects have the same annotation id.
        ImageError: the size of an image is only known from its photo, which is missing.
    """
    instances = instances_of(source)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    derived = 0
    for name in source.splits:
        for referent in tracked_referents(source, name):
            refuse_other_than_one(referent, "COCO's format")
            number: int | str = ""
            if referent.truth is None:
                instances.add_image(referent)
            else:
                number = instances.place(referent, _category(referent, name, source))[0]
                derived += referent.category is None
            for sentence in referent.sentences:
                writer.writerow((referent.image_id, number, sentence.text, name, sentence.id))
    if derived:
        logger.warning("%d referents without a category got the one that their phrases mention", derived)
    (folder / "phrases.csv").write_bytes(text.getvalue().encode())
    (folder / "instances.json").write_bytes(instances.content())


def _category(referent: Referent, split: str, source: Source) -> str:
    category = referent.category or referent.derived
    if category is None:
        raise DataError(
            f"{source.config.path}: split {split}, referent {referent.id}: no category, but COCO's annotations require "
            "one; add it to the data, give --default_category, or convert to jsonl or simrec"
        )
    return category
