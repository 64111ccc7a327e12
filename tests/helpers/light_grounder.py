"""A grounder that needs neither torch nor training: a phrase with "lower" means the lower half of a photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aligncat.errors import DataError
from aligncat.grounder.grounding import Grounding
from aligncat.types import Candidates
from helpers.light_detector import LightDetector


@dataclass(frozen=True)
class LightGrounder:
    """A grounder over the two halves that `LightDetector` finds."""

    detector: LightDetector = field(default_factory=LightDetector)
    matcher: None = None
    labels: tuple[str, ...] = ("upper", "lower")

    def fingerprint(self) -> str:
        return "halves"

    def check_expressions(self, expressions: str | Sequence[str]) -> list[str]:
        found = [expressions] if isinstance(expressions, str) else [*expressions]
        if not all(found):
            raise DataError("an expression has no words")
        return found

    def ground_images(
        self, asked: Sequence[tuple[Candidates, Sequence[str]]], *, several: bool = False, top: int = 1
    ) -> list[list[Grounding]]:
        return [[self._ground(candidates, each) for each in phrases] for candidates, phrases in asked]

    def _ground(self, candidates: Candidates, expression: str) -> Grounding:
        choice = int("lower" in expression)
        left, top, right, bottom = candidates.boxes[choice].tolist()
        return Grounding(
            expression=expression,
            box=(left, top, right, bottom),
            mask=None,
            probability=float(candidates.features[choice].mean()),
            category=self.labels[choice],
            predicted_category=None,
            category_matched=True,
            word_weights=(),
            choice=choice,
            candidates=(),
        )
