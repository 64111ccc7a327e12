"""What grounding photos needs of a grounder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from aligncat.detectors.protocol import Detector
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.matcher import Matcher
from aligncat.types import Candidates


class CandidateGrounder(Protocol):
    """What `ground_photos` needs of a grounder. Threads can share it."""

    @property
    def detector(self) -> Detector:
        """The detector, loaded at first use."""

    @property
    def matcher(self) -> Matcher | None:
        """What computes `Grounding.match`; None without a calibration."""

    def check_expressions(self, expressions: str | Sequence[str]) -> list[str]:
        """Return one or several expressions as a list.

        Raises:
            DataError: there are no expressions, or one is not text or has no words.
        """

    def ground_images(
        self, asked: Sequence[tuple[Candidates, Sequence[str]]], *, several: bool = False, top: int = 1
    ) -> list[list[Grounding]]:
        """Ground expressions in several images whose candidates are available."""
