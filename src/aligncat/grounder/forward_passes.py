"""The choices of a grounder for the expressions of a split, some at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from aligncat.datasets.split import Split
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.choices import choices_of, join_choices
from aligncat.grounder.images import Images
from aligncat.grounder.matcher import answer_slots
from aligncat.grounder.trained_grounder import PHRASES_AT_ONCE
from aligncat.language.several import phrase_for_one
from aligncat.store.reader import Store
from aligncat.types import Choices

if TYPE_CHECKING:
    from aligncat.grounder.trained_grounder import TrainedGrounder


def choose_all(grounder: TrainedGrounder, store: Store, split: Split) -> Choices:
    """Choose a candidate for every expression of a split; see `Grounder.choose`."""
    tensors = SplitTensors(
        split, store, grounder.vocabulary, max_length=grounder.max_length, with_labels=False, columns=grounder.columns
    )
    parts = []
    for batch in tensors.batches(PHRASES_AT_ONCE):
        images = Images(*(tensor.cpu().numpy() for tensor in batch.images))
        texts = [split.expressions[row].text for row in batch.rows.tolist()]
        # One forward pass for the choice and for `match`, unless an expression means several objects.
        shared = grounder.matcher is not None and all(phrase_for_one(text) == text for text in texts)
        scored = grounder.scorer.score(images, batch.tokens.cpu().numpy(), relative=shared)
        choices = choices_of(scored, texts, grounder.vocabulary, grounder.labels)
        if grounder.matcher is not None:
            match = grounder.matcher.match(images, texts, scored if shared else None)
            several = np.zeros_like(choices.kept)
            for row, text in enumerate(texts):
                slots = answer_slots(text, int(choices.choice[row]), match.answers[row], images.boxes[row])
                several[row, slots] = True
            choices = replace(choices, match=match.present, several=several & images.valid)
        parts.append(choices)
    return join_choices(parts)
