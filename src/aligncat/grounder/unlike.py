"""Whether an image is unlike those that a grounder was trained on, from the confidences of its candidates.

On images like those of its training, a detector is about as sure of the best candidate, of the second, and so on. On
others it is much less sure, or sure of fewer or more of them. The record needs no box and no mask of a referent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aligncat.types import Candidates

KEY = "familiar"
"""The key of config.json with the record. Grounders without it give no warning."""
UNLIKE = "The photo is unlike those that the grounder was trained on."
"""The warning, for `Grounding.warnings`."""
LEAST_IMAGES = 30
"""Fewer images say too little of how much others may differ."""
_FALSE_ALARMS = 0.03  # the share of the training images that are unlike the others
_LEAST_SPREAD = 0.01  # of a confidence


@dataclass(frozen=True, slots=True)
class Familiar:
    """How sure the detector is of its candidates on the training images.

    Attributes:
        means: O numbers, the mean confidence of the best candidate, of the second, and so on; 0 where there is none.
        spreads: O numbers, their standard deviations.
        limit: an image is unlike the others if the mean of the squared deviations from the means, in units of the
            spreads, is above this.
    """

    means: tuple[float, ...]
    spreads: tuple[float, ...]
    limit: float

    @classmethod
    def of(cls, confidences: NDArray[np.float32]) -> Familiar | None:
        """Return the record of n images, or None for fewer than LEAST_IMAGES.

        Args:
            confidences: (n, O), highest first; 0 where there is no candidate.
        """
        if len(confidences) < LEAST_IMAGES or not confidences.shape[1]:
            return None
        means = confidences.mean(axis=0, dtype=np.float64)
        spreads = np.maximum(confidences.std(axis=0, dtype=np.float64), _LEAST_SPREAD)
        record = cls(tuple(means.tolist()), tuple(spreads.tolist()), 0.0)
        distances = [record.distance(row) for row in confidences]
        return cls(record.means, record.spreads, float(np.quantile(distances, 1 - _FALSE_ALARMS)))

    def distance(self, confidences: NDArray[np.floating]) -> float:
        """Return the mean of the squared deviations of an image's confidences, in units of the spreads.

        Args:
            confidences: at most O numbers, highest first.
        """
        padded = np.zeros(len(self.means))
        padded[: len(confidences)] = confidences[: len(padded)]
        return float(np.mean(((padded - np.array(self.means)) / np.array(self.spreads)) ** 2))

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Familiar:
        """Return the record that `to_json` returned.

        Raises:
            KeyError: a number is missing.
            TypeError: a number is of another type.
            ValueError: a number is impossible.
        """
        means, spreads = (tuple(float(each) for each in values[name]) for name in ("means", "spreads"))
        limit = float(values["limit"])
        fine = len(means) == len(spreads) > 0 and np.isfinite([*means, *spreads, limit]).all() and min(spreads) > 0
        if not fine:
            raise ValueError(f"{KEY!r} in config.json must have as many means as spreads above 0, and finite numbers")
        return cls(means, spreads, limit)


def unlike_training(record: Familiar | None, candidates: Candidates) -> bool:
    """Return whether an image is unlike those that a grounder was trained on; False without a record.

    Args:
        record: the grounder's record, `Grounder.familiar`.
        candidates: the candidates of the image.
    """
    return record is not None and record.distance(candidates.confidences) > record.limit
