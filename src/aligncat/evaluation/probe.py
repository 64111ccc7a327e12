"""A diagnostic: what a linear classifier can read from frozen features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from aligncat.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

HELD_OUT = 0.3
"""Share of the groups that the probe is tested on."""

PENALTY = 1e-3
"""Weight of the squared norm: keeps separable classes from growing without bound."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What a linear probe found.

    Attributes:
        accuracy: share of the held-out examples that it labels right.
        majority: the same for always naming the training part's commonest label, which takes no reading.
        trained_on: examples.
        tested_on: examples.
    """

    accuracy: float
    majority: float
    trained_on: int
    tested_on: int


def linear_probe(features: Tensor, labels: Tensor, groups: Sequence[str], *, classes: int, seed: int) -> Probe:
    """Train multinomial logistic regression on 70% of the groups and test it on the others.

    Args:
        features: (n, d) float, standardised here by the training part's mean and deviation.
        labels: (n,) int64 in [0, classes).
        groups: n names, such as image ids: examples of one group are never on both sides.
        classes: how many labels there are.
        seed: picks the groups that are held out.

    Raises:
        DataError: the groups are too few to hold one out.
    """
    held_out = torch.from_numpy(_held_out(groups, seed))
    train_x, test_x = features[~held_out].double(), features[held_out].double()
    train_y, test_y = labels[~held_out], labels[held_out]
    mean, deviation = train_x.mean(dim=0), train_x.std(dim=0, correction=0)
    # a feature that never varies says nothing, and must not divide by zero
    scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
    weight, bias = _fit((train_x - mean) / scale, train_y, classes)
    predicted = ((test_x - mean) / scale @ weight + bias).argmax(dim=1)
    commonest = torch.bincount(train_y, minlength=classes).argmax()
    return Probe(
        accuracy=float((predicted == test_y).double().mean()),
        majority=float((test_y == commonest).double().mean()),
        trained_on=len(train_y),
        tested_on=len(test_y),
    )


def _held_out(groups: Sequence[str], seed: int) -> NDArray[np.bool_]:
    """(n,) bool, True for the examples of the groups that are held out."""
    names = np.unique(np.array(groups, dtype=np.str_))
    count = round(HELD_OUT * len(names))
    if not 0 < count < len(names):
        raise DataError(
            f"a probe holds out {HELD_OUT:.0%} of the groups, and {len(names)} are too few: give more images"
        )
    chosen = np.random.default_rng(seed).permutation(names)[:count]
    return np.isin(np.array(groups, dtype=np.str_), chosen)


def _fit(features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """(d, classes) weight and (classes,) bias of L2-penalised multinomial logistic regression: convex."""
    weight = torch.zeros(features.shape[1], classes, dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = cross_entropy(features @ weight + bias, labels) + PENALTY * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]  # torch types neither this nor the step below
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
