"""The forward passes of a grounder: phrases in one image, or the expressions of a split, some at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from aligncat.datasets.split import Split
from aligncat.grounder.batches import SplitTensors
from aligncat.grounder.choices import choices_of, join_choices
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.groundings import best_slots, grounding_of, with_answers
from aligncat.grounder.matcher import answer_slots
from aligncat.grounder.matching import Images, align
from aligncat.grounder.unlike import UNLIKE, unlike_training
from aligncat.language.several import phrase_for_one
from aligncat.store.reader import Store
from aligncat.types import Candidates, Choices

if TYPE_CHECKING:
    from aligncat.grounder.grounder import Grounder

PHRASES_AT_ONCE = 256
"""The most expressions in one forward pass, so that the memory does not depend on their number."""


def ground_some(
    grounder: Grounder, candidates: Candidates, phrases: Sequence[str], several: bool, top: int
) -> Iterator[Grounding]:
    """Yield the groundings of at most PHRASES_AT_ONCE expressions in one image.

    Args:
        grounder: the grounder.
        candidates: the candidates of the image, at least one.
        phrases: the expressions.
        several: see `Grounder.ground`.
        top: see `Grounder.ground`.
    """
    meant = [phrase_for_one(phrase) for phrase in phrases] if several else phrases
    tokens = grounder.vocabulary.encode(meant, grounder.model.config.text.max_length)
    images = Images.repeated(candidates, grounder.columns, len(phrases), grounder.device)
    alignment = align(grounder.model, images, tokens.to(grounder.device))
    choices = choices_of(alignment, meant, grounder.vocabulary, grounder.labels)
    match = None if grounder.matcher is None else grounder.matcher.match(images, phrases)
    if match is not None:
        choices = replace(choices, match=match.present)
    boxes = candidates.relative_boxes
    known = grounder.vocabulary if grounder.words is None else grounder.words
    photo = (UNLIKE,) if unlike_training(grounder.familiar, candidates) else ()
    for row, phrase in enumerate(phrases):
        unknown = known.unknown(meant[row])
        found = grounding_of(row, phrase, candidates, choices, grounder.labels, unknown, further=photo)
        answers = None if match is None else match.answers[row]
        if several and answers is not None:
            found = with_answers(found, answer_slots(phrase, found.choice, answers, boxes), candidates, answers)
        elif top > 1:
            found = with_answers(found, best_slots(found, top, boxes), candidates, answers)
        yield found


def choose_all(grounder: Grounder, store: Store, split: Split) -> Choices:
    """Choose a candidate for every expression of a split; see `Grounder.choose`."""
    max_length = grounder.model.config.text.max_length
    tensors = SplitTensors(
        split, store, grounder.vocabulary, max_length=max_length, with_labels=False, columns=grounder.columns
    )
    parts = []
    for batch in tensors.batches(PHRASES_AT_ONCE):
        images = Images.of(batch).to(grounder.device)
        alignment = align(grounder.model, images, batch.tokens.to(grounder.device))
        texts = [split.expressions[row].text for row in batch.rows.tolist()]
        choices = choices_of(alignment, texts, grounder.vocabulary, grounder.labels)
        if grounder.matcher is not None:
            match = grounder.matcher.match(images, texts)
            boxes = batch.boxes.numpy()
            several = np.zeros_like(choices.kept)
            for row, text in enumerate(texts):
                several[row, answer_slots(text, int(choices.choice[row]), match.answers[row], boxes[row])] = True
            choices = replace(choices, match=match.present, several=several & batch.valid.numpy())
        parts.append(choices)
    return join_choices(parts)
