"""Fit `match`, the probability that an image has what an expression says, without any box or mask of a referent.

Three kinds of pairs of an image and an expression are made from the validation split:

- present: the pairs as the data has them.
- mismatched: each expression with another image.
- near misses: each expression with its own image and one word contradicted ("blue car" for "red car").

A mismatched expression may be true of the other image, and a near miss of another object. Without truth this cannot be
seen, so each pair counts as absent by the probability, as the detector sees it, that no other object of the category is
there: the product of 1 - confidence. This has a bias: in images with one object of a category, absent expressions are
a little easier to refuse than among many. Near misses in places, colours, sizes and sexes that `swapped` does not know
are not made.

The probability depends on how often expressions are absent. It is fitted for half of the pairs present, a quarter
mismatched and a quarter near misses; without enough near misses, for half mismatched.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aligncat.datasets.split import Split
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.distinct import one_of_each
from aligncat.grounder.features import ScaledColumn, with_columns
from aligncat.grounder.images import Images
from aligncat.grounder.matching import Calibration, Evidence, contradictions, gather_evidence
from aligncat.grounder.model import GroundingModel
from aligncat.grounder.torch_scorer import TorchScorer
from aligncat.language.several import phrase_for_one, several_of
from aligncat.language.tokens import Tokens
from aligncat.store.reader import Store
from aligncat.training.match_regression import PRESENT, Pairs, fit_answer, fit_present

EXPRESSIONS = 2000  # of the validation split that are used; more do not change five numbers
REFERENCES = 256  # images
REFERENCE_OBJECTS = 8  # of an image
# Pairs of a kind, counted by weight. Fewer near misses do not count, and without the others nothing is fitted.
LEAST = 20.0
_BATCH = 256

logger = logging.getLogger(__name__)


def calibrate(
    model: GroundingModel,
    vocabulary: Tokens,
    *,
    store: Store,
    split: Split,
    references: Sequence[str],
    seed: int,
    columns: Sequence[ScaledColumn] = (),
) -> Calibration | None:
    """Fit the calibration of a trained model.

    Args:
        model: the trained model, in evaluation mode.
        vocabulary: its vocabulary.
        store: the candidates of all images.
        split: the validation split; only its texts and image ids are read.
        references: the ids of the images from which reference images are drawn, such as those of the training split.
        seed: decides the draws.
        columns: the columns of the store that the model reads beside f_q.

    Returns:
        The calibration, or None, with a warning, if the split has too few expressions or images, or no reference image
        has a candidate.
    """
    uncalibrated = "the grounder is not calibrated and has no match: %s"
    rng = np.random.default_rng(seed)
    drawn = rng.permutation(len(references))[:REFERENCES]
    bank = reference_images(stored_images(store, [references[number] for number in drawn], columns))
    if not bank.valid.any():
        logger.warning(uncalibrated, "no reference image has a candidate")
        return None
    pairs, others = make_pairs(model, vocabulary, stored_images(store, list(split.images), columns), split, bank, rng)
    counts = [float(kind.weights.sum()) for kind in pairs]
    if min(counts[:2]) < LEAST:
        logger.warning(
            uncalibrated,
            f"split {split.split} has too few expressions, or too few images without an object of their categories",
        )
        return None
    present = fit_present(pairs[0], [kind for kind, count in zip(pairs[1:], counts[1:], strict=True) if count >= LEAST])
    answer = fit_answer(pairs[0].evidence, others) if others else present
    fitted: dict[str, str | int | float] = {
        "split": split.split,
        "present": len(pairs[0].weights),
        "mismatched": round(counts[1], 1),
        "near_misses": round(counts[2], 1),
        "share_present": PRESENT,
    }
    return Calibration(present, answer, bank, fitted)


def stored_images(store: Store, image_ids: Sequence[str], columns: Sequence[ScaledColumn]) -> Images:
    """Return the candidates of images.

    Args:
        store: the candidates.
        image_ids: the ids of the images.
        columns: the columns that the model reads beside f_q.
    """
    found, boxes = store.tensors(image_ids), store.relative_boxes(image_ids)
    further = {each.column.name: store.further_features(image_ids, each.column).numpy() for each in columns}
    features = with_columns(found.features.numpy(), columns, further)
    return Images(features, found.categories.numpy(), found.valid.numpy(), found.confidences.numpy(), boxes)


def reference_images(images: Images) -> Images:
    """Return the most confident candidates of images, each object once."""
    slots = np.zeros((len(images.valid), REFERENCE_OBJECTS), np.int64)
    valid = np.zeros(slots.shape, bool)
    for row in range(len(slots)):
        kept = one_of_each(images.boxes[row], np.flatnonzero(images.valid[row]).tolist())[:REFERENCE_OBJECTS]
        slots[row, : len(kept)], valid[row, : len(kept)] = kept, True
    rows = np.arange(len(slots))[:, None]
    return Images(
        images.features[rows, slots] * valid[:, :, None],
        np.where(valid, images.categories[rows, slots], -1),
        valid,
        images.confidences[rows, slots] * valid,
        images.boxes[rows, slots] * valid[:, :, None],
    )


def make_pairs(
    model: GroundingModel, vocabulary: Tokens, images: Images, split: Split, bank: Images, rng: np.random.Generator
) -> tuple[tuple[Pairs, Pairs, Pairs], list[tuple[int, int]]]:
    """Return the present pairs, the mismatched pairs and the near misses; and the other objects of present pairs.

    The other objects, (pair, candidate), are of the expression's category and not the chosen object. An expression for
    several objects has none, because it may mean them too.

    Args:
        model: the trained model, in evaluation mode.
        vocabulary: its vocabulary.
        images: the candidates of the split's images, in order.
        split: the validation split.
        bank: the reference images.
        rng: decides the draws.
    """
    place = {image_id: number for number, image_id in enumerate(split.images)}
    scorer, max_length = TorchScorer(model, vocabulary, bank), model.config.text.max_length

    def evidence(rows: NDArray[np.int64], texts: Sequence[str]) -> Evidence:
        parts = []
        for start in range(0, len(texts), _BATCH):
            batch = slice(start, start + _BATCH)
            parts.append(gather_evidence(scorer, vocabulary, images.rows(rows[batch]), texts[batch], max_length))
        return Evidence.joined(parts)

    def alike(row: int, category: int, choice: int | None) -> list[int]:
        """Return the objects of a category in an image, but for the chosen one."""
        among = images.categories[row] == category
        if choice is not None:
            among &= box_iou(images.boxes[row][choice][None], images.boxes[row])[0] <= SAME_OBJECT_IOU
            among[choice] = False
        return one_of_each(images.boxes[row], np.flatnonzero(among).tolist())

    def alone(row: int, category: int, choice: int | None) -> float:
        """Return the probability that no object of a category, but for the chosen one, is in an image."""
        confidences = images.confidences[row]
        return float(np.prod([1.0 - confidences[slot] for slot in alike(row, category, choice)]))

    drawn = np.sort(rng.permutation(len(split.expressions))[:EXPRESSIONS])
    expressions = [split.expressions[number] for number in drawn]
    texts = [phrase_for_one(expression.text) for expression in expressions]
    rows = np.array([place[expression.image_id] for expression in expressions])
    present = evidence(rows, texts)
    categories, choices = present.category.tolist(), present.choice.tolist()

    others = (rows + rng.integers(1, max(len(place), 2), len(rows))) % len(place)
    absent = [
        alone(row, category, None) * (row != own) for row, category, own in zip(others, categories, rows, strict=True)
    ]

    swaps = [contradictions(text, vocabulary) for text in texts]
    swappable = np.array([number for number, each in enumerate(swaps) if each], np.int64)
    near = [swaps[number][rng.integers(len(swaps[number]))] for number in swappable]
    single = [alone(rows[number], categories[number], choices[number]) for number in swappable]
    missed = evidence(rows[swappable], near) if near else present.first(0)
    pairs = (
        _with_candidates(present, np.ones(len(texts))),
        _with_candidates(evidence(others, texts), np.array(absent)),
        _with_candidates(missed, np.array(single)),
    )
    objects = [
        (number, slot)
        for number, (row, category, choice) in enumerate(zip(rows, categories, choices, strict=True))
        if several_of(expressions[number].text) is None
        for slot in alike(row, category, choice)
        if present.kept[number, slot]
    ]
    return pairs, objects


def _with_candidates(evidence: Evidence, weights: NDArray[np.float64]) -> Pairs:
    """Return pairs of which those in an image without candidates do not count: their match is always 0."""
    return Pairs(evidence, weights * evidence.kept.any(axis=1))
