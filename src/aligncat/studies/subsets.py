"""Subsets of a training split, for studies of the training data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aligncat.datasets.split import Split
from aligncat.errors import DataError


def share_of_referents(split: Split, share: float, seed: int) -> Split:
    """Return a random share of the referents of a split, with all their sentences.

    Args:
        split: the split.
        share: the share of referents, in (0, 1]. With the same seed, a smaller share is a subset of a larger one.
        seed: the seed of the random choice.
    """
    groups = list(split.sentences_by_referent())
    order = np.random.default_rng(seed).permutation(len(groups))
    chosen = {groups[place] for place in order[: max(1, round(share * len(groups)))]}
    return _with_referents(split, {e.id for e in split.expressions if e.referent_id in chosen})


def over_specified(split: Split, rate: float, seed: int) -> Split:
    """Return a split in which a share of the referents is described with redundant words, the others without.

    Only referents that have sentences of both kinds are kept. They do not depend on the rate, so splits of different
    rates differ only in the sentences.

    Args:
        split: a split whose expressions record redundant attributes.
        rate: the share of referents that keep only their over-specified sentences, in [0, 1]. The others keep only
            their sentences without redundant words.
        seed: the seed of the random choice.

    Raises:
        DataError: no referent has sentences of both kinds, for example because the data does not record them.
    """
    groups = {
        referent: group
        for referent, group in split.sentences_by_referent().items()
        if len({bool(e.redundant) for e in group}) == 2
    }
    if not groups:
        raise DataError(
            f"{split.dataset}, split {split.split}: no referent has sentences both with and without redundant words; "
            "only MojiRef records redundant words, so use MojiRef"
        )
    order = np.random.default_rng(seed).permutation(len(groups))
    redundant = {name for place, name in zip(order, groups, strict=True) if place < round(rate * len(groups))}
    kept = {e.id for name, group in groups.items() for e in group if bool(e.redundant) == (name in redundant)}
    return _with_referents(split, kept)


def _with_referents(split: Split, kept: set[str]) -> Split:
    expressions = tuple(e for e in split.expressions if e.id in kept)
    images = {e.image_id for e in expressions}
    return replace(
        split,
        expressions=expressions,
        images={image_id: record for image_id, record in split.images.items() if image_id in images},
    )
