"""Whether a referent's truth can be compared with the candidates of its image."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from aligncat.datasets.photos import size_difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligncat.datasets.split import Split
    from aligncat.store.reader import Store
    from aligncat.types import Candidates, Truth

logger = logging.getLogger(__name__)


def size_fault(truth: Truth, referent_id: str, candidates: Candidates) -> str | None:
    """Return why a referent's box and mask cannot be compared with an image's candidates, or None if they can be.

    Args:
        truth: the referent's boxes and masks. Nothing is known against boxes without a size.
        referent_id: its id, for the message.
        candidates: the candidates of its image.
    """
    size = truth.size
    if size is None and truth.masks:
        height, width = truth.masks[0]["size"]
        size = width, height
    if size is None:
        return None
    difference = size_difference(size, (candidates.width, candidates.height))
    return difference and f"image {candidates.image_id!r}, referent {referent_id!r}: {difference}"


def measurable(split: Split, truth: Mapping[str, Truth], store: Store) -> Split:
    """Return a split without the expressions whose referent has no truth, or one for another size of its image.

    One warning reports the images whose size differs. Bad truth was reported when it was read.

    Args:
        split: the split with the expressions.
        truth: the truth by referent id, without bad rows.
        store: a store with the candidates of the images.

    Raises:
        StoreError: the store lacks an image.
    """
    kept = []
    faults: dict[str, str] = {}
    for referent_id, expressions in split.sentences_by_referent().items():
        image_id = expressions[0].image_id
        if referent_id in truth and image_id not in faults:
            if fault := size_fault(truth[referent_id], referent_id, store.candidates(image_id)):
                faults[image_id] = fault
            else:
                kept.append(referent_id)
    if faults:
        logger.warning(
            "%s, split %s: left out %d images whose annotations are of another size: %s",
            split.dataset,
            split.split,
            len(faults),
            next(iter(faults.values())),
        )
    chosen = {*kept}
    return replace(split, expressions=tuple(each for each in split.expressions if each.referent_id in chosen))
