"""The calibrated part of a grounder: `match`, and the answers where an expression means several objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from aligncat.alignment.result import Alignment
from aligncat.errors import ConfigError
from aligncat.geometry import SAME_OBJECT_IOU, box_iou
from aligncat.grounder.matching import Calibration, Images, align_references, gather_evidence
from aligncat.grounder.model import GroundingModel
from aligncat.language.several import phrase_for_one, several_of
from aligncat.language.tokens import Tokens

ANSWER = 0.5
"""The least probability of an answer where an expression means several objects and does not say how many."""


class Match(NamedTuple):
    """The probabilities of B expressions.

    Attributes:
        present: (B,) float32, that the image has what the expression says; 0 without candidates.
        answers: (B, O) float32, that each candidate is what the expression says, if the image has it; 0 outside the
            refined set.
    """

    present: NDArray[np.float32]
    answers: NDArray[np.float32]


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

    @torch.inference_mode()
    def match(self, images: Images, phrases: Sequence[str]) -> Match:
        """Return how probable it is that expressions, or their singulars, are true.

        Args:
            images: the images of B expressions, on the model's device.
            phrases: the B expressions.
        """
        device, found = str(images.features.device), self._references
        if found is None or found[0] != device:
            bank = self.calibration.references.to(device)
            found = self._references = device, align_references(self._model, self._vocabulary, bank)
        meant = [phrase_for_one(phrase) for phrase in phrases]
        valid = self.calibration.references.valid.to(device)
        evidence = gather_evidence(self._model, self._vocabulary, images, meant, valid, found[1])
        present = evidence.probabilities(self.calibration.present).max(dim=1).values
        return Match(present.cpu().numpy(), evidence.probabilities(self.calibration.answer).cpu().numpy())


def required_matcher(matcher: Matcher | None) -> Matcher:
    """Return a grounder's matcher.

    Raises:
        ConfigError: the grounder is not calibrated.
    """
    if matcher is None:
        raise ConfigError(
            "this grounder is not calibrated, so it has no match and cannot give several answers: it was imported, "
            "made by an earlier version, or trained without a validation split of enough phrases that people wrote; "
            "train it again with --val_split"
        )
    return matcher


def answer_slots(phrase: str, choice: int, answers: NDArray[np.float32], boxes: NDArray[np.float32]) -> list[int]:
    """Return the candidates that an expression refers to, best first, each object once.

    For an expression that means one object, this is the choice. For several, it is as many of the most probable objects
    as the expression says, or else all that are as probable as ANSWER; in any case the most probable one. Two
    candidates are one object if the IoU of their boxes is above SAME_OBJECT_IOU.

    Args:
        phrase: the expression.
        choice: the index of the chosen candidate.
        answers: (O,), one row of `Match.answers`.
        boxes: (O, 4) xyxy in any unit.
    """
    said = several_of(phrase)
    if said is None:
        return [choice]
    chosen: list[int] = []
    for slot in np.argsort(-answers, kind="stable").tolist():
        wanted = answers[slot] >= ANSWER if said.count is None else answers[slot] > 0
        if chosen and (not wanted or len(chosen) == said.count):
            break
        if not chosen or box_iou(boxes[slot][None], boxes[chosen]).max() <= SAME_OBJECT_IOU:
            chosen.append(slot)
    return chosen
