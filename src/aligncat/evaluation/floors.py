"""The metrics of baselines that need no training, which stand beside every result (`evaluation.baselines`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aligncat.errors import DataError
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.stored_metrics import check_keys, read_metrics
from aligncat.files.fields import as_mapping, required, shorten
from aligncat.grounder.names import TRAINING_FREE

MOST_CONFIDENT = "most confident"
"""The name in tables of the baseline that takes the most confident candidate of the right category."""


@dataclass(frozen=True, slots=True)
class Floors:
    """The metrics of the two baselines on a split, without slices by attribute.

    Attributes:
        most_confident: of the most confident candidate of the right category: the truth's, or without one that of the
            expression. If no candidate has it, or it is unknown, the most confident candidate of all.
        training_free: of the training-free grounder.
        coloured: whether the training-free grounder had the column `colour`. Without it, it does not use colour words.
    """

    most_confident: Metrics
    training_free: Metrics
    coloured: bool

    def by_name(self) -> Mapping[str, Metrics]:
        """Return the metrics by the names of the baselines in tables."""
        return {MOST_CONFIDENT: self.most_confident, TRAINING_FREE: self.training_free}

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "most_confident": self.most_confident.to_json(),
            "training_free": self.training_free.to_json(),
            "coloured": self.coloured,
        }

    @classmethod
    def from_json(cls, values: object, where: str) -> Floors:
        """Invert `to_json`.

        Raises:
            DataError: a value is missing, unknown, of the wrong type or out of its range.
        """
        row = as_mapping(values, where)
        check_keys(row, ("most_confident", "training_free", "coloured"), where)
        if not isinstance(coloured := required(row, "coloured", where), bool):
            raise DataError(f"{where}: 'coloured' must be true or false, not {shorten(coloured)}")
        of = {
            name: read_metrics(required(row, name, where), f"{where}, {name}")
            for name in ("most_confident", "training_free")
        }
        return cls(of["most_confident"], of["training_free"], coloured)
