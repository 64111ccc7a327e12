"""Writer of REFER's layout."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

from aligncat.datasets.config import DataConfig
from aligncat.datasets.convert.source import Referent, Source
from aligncat.datasets.convert.writing import (
    number_or_text,
    recorded_kinds,
    refuse_other_than_one,
    tracked_referents,
)
from aligncat.datasets.formats.instances_writer import instances_of
from aligncat.errors import DataError
from aligncat.types import Expression

logger = logging.getLogger(__name__)


def write_refer(source: Source, config: DataConfig, folder: Path) -> None:
    """Write <dataset>/refs(<split_by>).p and <dataset>/instances.json.

    If the source has an instances.json, it is copied, including the objects that no expression refers to.

    Args:
        source: the dataset to write.
        config: the configuration that will read the result.
        folder: the folder to write into.

    Raises:
        DataError: a referent has no category, or two objects have the same annotation id.
        ImageError: the size of an image is only known from its photo, which is missing.
    """
    target = folder / config.dataset
    target.mkdir(exist_ok=True)
    instances = instances_of(source)
    refs = []
    derived = 0
    for name in source.splits:
        for referent in tracked_referents(source, name):
            refuse_other_than_one(referent, "REFER's layout")
            category = referent.category or referent.derived
            if category is None:
                raise DataError(
                    f"{source.config.path}: split {name}, referent {referent.id}: no category, but REFER's layout "
                    "requires one; add it to the data, give --default_category, or convert to jsonl or simrec"
                )
            derived += referent.category is None
            annotation_id, category_id = instances.place(referent, category)
            refs.append(
                {
                    "ref_id": number_or_text(referent.id),
                    "ann_id": annotation_id,
                    "image_id": number_or_text(referent.image_id),
                    "category_id": category_id,
                    "file_name": referent.as_written.file_name or referent.photo,
                    "split": name,
                    "sent_ids": [number_or_text(sentence.id) for sentence in referent.sentences],
                    "sentences": [_refer_sentence(sentence, referent) for sentence in referent.sentences],
                }
            )
    if derived:
        logger.warning("%d referents without a category got the one that their phrases mention", derived)
    (target / f"refs({config.split_by}).p").write_bytes(pickle.dumps(refs, protocol=2))
    (target / "instances.json").write_bytes(instances.content())


def _refer_sentence(sentence: Expression, referent: Referent) -> dict[str, Any]:
    kinds = recorded_kinds([sentence]).get("kinds", [{}])[0]
    written = {
        "raw": sentence.text,
        "tokens": sentence.text.split(),
        **referent.as_written.sentences.get(sentence.id, {}),
    }
    return {"sent_id": number_or_text(sentence.id), "sent": sentence.text, **written, **kinds}
