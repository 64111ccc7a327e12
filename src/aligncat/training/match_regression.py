"""The logistic functions of a calibration, fitted on pairs of an image and an expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aligncat.grounder.matching import Evidence, Logistic

PRESENT = 0.5  # the assumed share of pairs whose expression is true
_ROUNDS, _STEPS, _RIDGE = 4, 50, 1e-3


class Pairs(NamedTuple):
    """n pairs of one kind.

    Attributes:
        evidence: the evidence for the pairs.
        weights: (n,) float64, how much each pair counts, in [0, 1].
    """

    evidence: Evidence
    weights: NDArray[np.float64]


def fit_present(present: Pairs, absent: Sequence[Pairs]) -> Logistic:
    """Return a logistic regression of whether an expression is true, on the most probable candidate of each pair.

    The most probable candidate depends on the weights, so both are found in turn, starting from the choice.

    Args:
        present: pairs whose expression is true.
        absent: the kinds of pairs whose expression is not true, at least one, which share the other half of the weight.
    """
    kinds = [present, *absent]
    shares = [PRESENT, *[(1 - PRESENT) / len(absent)] * len(absent)]
    weights = np.concatenate(
        [share * kind.weights / kind.weights.sum() for share, kind in zip(shares, kinds, strict=True)]
    )
    true = np.concatenate([np.full(len(kind.weights), kind is present) for kind in kinds])
    slots = [kind.evidence.choice for kind in kinds]
    for _ in range(_ROUNDS):
        values = np.concatenate([k.evidence.values[np.arange(len(s)), s] for k, s in zip(kinds, slots, strict=True)])
        found = _regression(values.astype(np.float64), true, weights)
        slots = [kind.evidence.probabilities(found).argmax(axis=1) for kind in kinds]
    return found


def fit_answer(present: Evidence, others: Sequence[tuple[int, int]]) -> Logistic:
    """Return a logistic regression of whether a candidate is what an expression says.

    An expression means one object, so the chosen object counts as right, and the other objects of its category count as
    wrong: half of the weight each. Where the choice is wrong, both labels are.

    Args:
        present: the evidence for present pairs.
        others: the other objects, at least one, as (pair, candidate).
    """
    answered = np.flatnonzero(present.kept.any(axis=1))  # not the pairs in images without candidates
    count = len(answered)
    pairs, slots = np.array(others).T
    wrong = present.values[pairs, slots]
    values = np.concatenate([present.values[answered, present.choice[answered]], wrong])
    right = np.arange(len(values)) < count
    weights = np.where(right, 0.5 / count, 0.5 / len(wrong))
    return _regression(values.astype(np.float64), right, weights)


def _regression(values: NDArray[np.float64], true: NDArray[np.bool_], weights: NDArray[np.float64]) -> Logistic:
    """Return a logistic regression without the quantities that would speak against an expression.

    All of EVIDENCE speaks for an expression. A quantity with a negative coefficient is left out, the lowest first.
    """
    used = np.arange(values.shape[1])
    while True:
        found, bias = logistic_regression(values[:, used], true, weights)
        if not (found < 0).any():
            coefficients = np.zeros(values.shape[1])
            coefficients[used] = found
            return Logistic(tuple(coefficients.tolist()), bias)
        used = np.delete(used, found.argmin())


def logistic_regression(
    values: NDArray[np.float64], true: NDArray[np.bool_], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Return the coefficients and the constant of a weighted logistic regression with a small ridge penalty.

    Args:
        values: (n, k), the quantities.
        true: (n,), the outcomes.
        weights: (n,), the weights of the rows, which add up to 1.
    """
    mean = weights @ values
    scale = np.sqrt(weights @ (values - mean) ** 2)
    scale[scale < 1e-6] = np.inf  # a constant gets no weight
    design = np.column_stack([(values - mean) / scale, np.ones(len(values))])
    penalty = np.diag([_RIDGE] * values.shape[1] + [0.0])
    solution = np.zeros(design.shape[1])
    for _ in range(_STEPS):  # Newton's method
        claimed = 1 / (1 + np.exp(-design @ solution))
        gradient = design.T @ (weights * (claimed - true)) + penalty @ solution
        curvature = (design.T * (weights * claimed * (1 - claimed))) @ design + penalty
        solution -= np.clip(np.linalg.solve(curvature, gradient), -1, 1)
    coefficients = solution[:-1] / scale
    return coefficients, float(solution[-1] - coefficients @ mean)
