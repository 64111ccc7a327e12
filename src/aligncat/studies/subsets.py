"""Training splits with less in them, for studies of what the training phrases must hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aligncat.datasets.split import Split
from aligncat.errors import DataError


def share_of_referents(split: Split, share: float, seed: int) -> Split:
    """A random share of the referents, with all their sentences.

    Args:
        split: the whole.
        share: of the referents, in (0, 1]; a smaller share is contained in a larger one of the same seed.
        seed: decides which.
    """
    groups = list(split.sentences_by_referent())
    order = np.random.default_rng(seed).permutation(len(groups))
    chosen = {groups[place] for place in order[: max(1, round(share * len(groups)))]}
    return _with_referents(split, {e.id for e in split.expressions if e.referent_id in chosen})


def over_specified(split: Split, rate: float, seed: int) -> Split:
    """The referents that are described with and without redundant words, a share of them only with.

    The same referents whatever the rate, so that rates differ in nothing but the words.

    Args:
        split: whose expressions record what is redundant in them.
        rate: share of the referents of which the over-specified sentences are kept, in [0, 1]; of the others, the
            sentences that say no more than needed are.
        seed: decides which.

    Raises:
        DataError: no referent has sentences of both sorts, as in data that does not record them.
    """
    groups = {
        referent: group
        for referent, group in split.sentences_by_referent().items()
        if len({bool(e.redundant) for e in group}) == 2
    }
    if not groups:
        raise DataError(
            f"no referent of {split.dataset} {split.split} has both over-specified and other sentences on record: "
            "only MojiRef records what is redundant in a sentence"
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    with_more = {name for place, name in zip(order, groups, strict=True) if place < round(rate * len(groups))}
    kept = {e.id for name, group in groups.items() for e in group if bool(e.redundant) == (name in with_more)}
    return _with_referents(split, kept)


def _with_referents(split: Split, kept: set[str]) -> Split:
    expressions = tuple(e for e in split.expressions if e.id in kept)
    images = {e.image_id for e in expressions}
    return replace(
        split,
        expressions=expressions,
        images={image_id: record for image_id, record in split.images.items() if image_id in images},
    )
