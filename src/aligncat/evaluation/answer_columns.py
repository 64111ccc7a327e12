"""The columns of one answer, as Python objects for the table of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aligncat.evaluation.answer_sets import named_candidates
from aligncat.geometry import merge_masks
from aligncat.grounder.choices import object_probability
from aligncat.language.tokens import tokenize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aligncat.datasets.split import Split
    from aligncat.evaluation.overlaps import Overlaps
    from aligncat.types import Candidates, Choices, Truth

SCORES = ("class", "global", "coarse", "fine")


def expression_columns(split: Split, overlaps: Overlaps, choices: Choices, row: int) -> dict[str, Any]:
    """Return the columns of the expression, its predicted category and its word weights."""
    expression = overlaps.expressions[row]
    return {
        "expression_id": expression.id,
        "referent_id": expression.referent_id,
        "image_id": expression.image_id,
        "image_path": str(split.images[expression.image_id].path.absolute()),
        "text": expression.text,
        "kind": expression.kind,
        "needed": expression.needed,
        "redundant": expression.redundant,
        "length": len(tokenize(expression.text)),
        "referent_category": overlaps.referent_categories[row],
        "predicted_category": None if choices.predicted is None else choices.predicted[row],
        "category_matched": bool(choices.category_matched[row]),
        "words": [word for word, _ in choices.word_weights[row]],
        "word_weights": [weight for _, weight in choices.word_weights[row]],
    }


def choice_columns(candidates: Candidates, choices: Choices, row: int, *, several: bool) -> dict[str, Any]:
    """Return the columns of the candidates, their scores, and the choice."""
    count = len(candidates)
    choice = choice_of(candidates, choices, row)
    shares = choices.probabilities[row, :count]
    shown = (named_candidates(choices, row, count, 0) if several else [choice]) if count else []
    return {
        "choice": choice,
        "score": object_probability(shares, candidates.boxes, choice) if count else 0.0,
        "chosen_mask": _joined_mask(candidates, shown),
        "boxes": candidates.boxes.ravel(),
        "categories": candidates.categories.astype(np.int16),
        "confidences": candidates.confidences,
        "kept": choices.kept[row, :count].tolist(),
        "probabilities": shares,
        **{f"{name}_scores": choices.scores[name][row, :count] if name in choices.scores else None for name in SCORES},
        "match": None if choices.match is None else float(choices.match[row]),
        "several": None if choices.several is None else choices.several[row, :count].tolist(),
    }


def _joined_mask(candidates: Candidates, slots: Sequence[int]) -> bytes | None:
    """Return the counts of some candidates' masks together; None without candidates or masks."""
    if not slots or candidates.masks is None:
        return None
    return merge_masks([candidates.masks[each] for each in slots])["counts"]


def truth_columns(candidates: Candidates, truth: Truth) -> dict[str, Any]:
    """Return the columns of the image's size and the targets' truth."""
    sides = np.maximum(truth.boxes[:, 2:] - truth.boxes[:, :2], 0)
    return {
        "width": candidates.width,
        "height": candidates.height,
        "truth_box": truth.boxes.ravel(),
        "truth_mask": merge_masks(truth.masks)["counts"] if truth.masks else None,
        "size": (sides[:, 0] * sides[:, 1]).sum() / (candidates.width * candidates.height),
    }


def choice_of(candidates: Candidates, choices: Choices, row: int) -> int:
    """Return the index of the chosen candidate, or -1 if the image has no candidate."""
    return int(choices.choice[row]) if len(candidates) else -1
