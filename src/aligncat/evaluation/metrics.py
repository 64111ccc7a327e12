"""Metrics of a set of choices: REC, RES, the oracle, and shares of errors."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aligncat.evaluation.answer_sets import SetMetrics

PRECISION_THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class ErrorShares:
    """Wrong answers as shares of all expressions, by the object that was chosen; the three sum to 1 - REC.

    The shares depend only on the candidates and the chosen object. `evaluation.causes` gives the reason for an error in
    more detail; docs/experiments.md explains how the two relate.

    Attributes:
        out_of_reach: no candidate's box has an IoU above 0.5, or the image shows nothing that the expression means, so
            no choice could be right; equals 1 - oracle.
        other_category: a right choice existed, but an object of another category than the referent's was chosen.
        same_category: a right choice existed, but another object of the referent's category was chosen, or the
            referent itself with a poor box.
    """

    out_of_reach: float
    other_category: float
    same_category: float

    def to_json(self) -> dict[str, float]:
        """Return the shares under the keys of a stored result."""
        return {key: getattr(self, name) for key, name in STORED_ERRORS.items()}


STORED_ERRORS = {
    "not_among_candidates": "out_of_reach",
    "wrong_category": "other_category",
    "wrong_object": "same_category",
}
"""Fields of `ErrorShares` by their key in a stored result.

The keys are older than the causes. `wrong_category` and `wrong_object` are also causes, but with a narrower meaning.
"""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics of a set of expressions, as fractions of 1; None if undefined.

    Attributes:
        expressions: the number of expressions.
        rec: share whose chosen box has an IoU above 0.5 with the truth (the paper, section 5.1); exactly 0.5 is wrong.
        oracle_rec: share with at least one candidate whose box does; no choice can reach a higher REC.
        with_mask: the number of expressions whose truth has a mask; the mask metrics below count only these.
        res_miou: mean IoU of the chosen masks (the paper's RES).
        res_oiou: sum of the intersections over sum of the unions; large objects count for more.
        oracle_res_miou: res_miou if the mask with the best IoU were always chosen.
        precision: for each threshold "0.5" to "0.9", share whose chosen mask has a greater IoU.
        category_accuracy: among the expressions whose truth names a category, the share for which the text classifier
            predicts it.
        errors: shares of wrong answers; None if they depend on a category that the truth does not name.
        by_kind: the same metrics for each `Expression.kind`.
        by_attribute: for each attribute, the same metrics of the expressions that need it ("needed"), and of those that
            mention it without need ("redundant").
        sets: metrics of answers that name any number of objects; None if every expression has exactly one target. The
            metrics above are of the choice alone. It is wrong for an expression without a target, and right for one
            with several if it is one of them.
    """

    expressions: int
    rec: float
    oracle_rec: float
    with_mask: int
    res_miou: float | None
    res_oiou: float | None
    oracle_res_miou: float | None
    precision: Mapping[str, float] | None
    category_accuracy: float | None
    errors: ErrorShares | None
    by_kind: Mapping[str, Metrics] = field(default_factory=dict)
    by_attribute: Mapping[str, Mapping[str, Metrics]] = field(default_factory=dict)
    sets: SetMetrics | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values. The keys "by_kind", "by_attribute" and "sets" are left out if there is nothing."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith(("by_", "sets"))}
        own["precision"] = None if self.precision is None else dict(self.precision)
        own["errors"] = None if self.errors is None else self.errors.to_json()
        if self.sets is not None:
            own["sets"] = self.sets.to_json()
        if self.by_kind:
            own["by_kind"] = {kind: metrics.to_json() for kind, metrics in self.by_kind.items()}
        if self.by_attribute:
            own["by_attribute"] = {
                attribute: {role: metrics.to_json() for role, metrics in roles.items()}
                for attribute, roles in self.by_attribute.items()
            }
        return own

    def slices(self) -> dict[str, Metrics]:
        """Return every slice by one name, such as "kind color+place", "color needed" or "color redundant"."""
        named = {f"kind {kind}": metrics for kind, metrics in self.by_kind.items()}
        for attribute, roles in self.by_attribute.items():
            named |= {f"{attribute} {role}": metrics for role, metrics in roles.items()}
        return named
