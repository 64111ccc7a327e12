"""The calibrated part of a grounder: `match`, and the answers where an expression means several objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aligncat.errors import ConfigError
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.matching import Calibration, Images, align_references, match_objects
from aligncat.grounder.model import GroundingModel
from aligncat.language.several import several_of
from aligncat.language.tokens import Tokens
from aligncat.types import Alignment

PRESENT = 0.5
"""The least probability of an answer where an expression means several objects and does not say how many."""


class Matcher:
    """Computes how probable it is that expressions are true of candidates.

    Threads can share a matcher.

    Args:
        calibration: the grounder's calibration.
        model: its model, in evaluation mode.
        vocabulary: its vocabulary.
    """

    def __init__(self, calibration: Calibration, model: GroundingModel, vocabulary: Tokens) -> None:
        self.calibration = calibration
        self._model = model
        self._vocabulary = vocabulary
        self._references: tuple[str, Alignment] | None = None

    def match(self, images: Images, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Return the probability that each expression, or its singular, is true of each candidate of its image.

        Args:
            images: the images of B expressions, on the model's device.
            phrases: the B expressions.

        Returns:
            (B, O), 0 outside the refined set. The largest value of a row is the expression's `match`.
        """
        device, found = str(images.features.device), self._references
        if found is None or found[0] != device:
            references = self.calibration.references.to(device)
            found = self._references = device, align_references(self._model, self._vocabulary, references)
        match = match_objects(self.calibration, self._model, self._vocabulary, images, phrases, found[1])
        return match.cpu().numpy()


def required_matcher(matcher: Matcher | None) -> Matcher:
    """Return a grounder's matcher.

    Raises:
        ConfigError: the grounder is not calibrated.
    """
    if matcher is None:
        raise ConfigError(
            "this grounder is not calibrated, so it has no match and cannot give several answers: it was trained "
            "without a validation split, imported, or made by an earlier version; train it again with --val_split"
        )
    return matcher


def answer_slots(phrase: str, choice: int, match: NDArray[np.float32], boxes: NDArray[np.float32]) -> list[int]:
    """Return the candidates that an expression refers to, best first, each object once.

    For an expression that means one object, this is the choice. For several, it is as many of the most probable objects
    as the expression says, or else all that are as probable as PRESENT; in any case the most probable one. Two
    candidates are one object if the IoU of their boxes is above SAME_OBJECT_IOU.

    Args:
        phrase: the expression.
        choice: the index of the chosen candidate.
        match: (O,), one row of `Matcher.match`.
        boxes: (O, 4) xyxy pixels.
    """
    said = several_of(phrase)
    if said is None:
        return [choice]
    chosen: list[int] = []
    for slot in np.argsort(-match, kind="stable").tolist():
        wanted = match[slot] >= PRESENT if said.count is None else match[slot] > 0
        if chosen and (not wanted or len(chosen) == said.count):
            break
        if not chosen or box_iou(boxes[slot][None], boxes[chosen]).max() <= SAME_OBJECT_IOU:
            chosen.append(slot)
    return chosen
