"""Tests of the linear probe in benchmarks/probe.py, also against scipy's optimum."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

from aligncat.errors import DataError

linear_probe = runpy.run_path(str(Path(__file__).resolve().parents[1] / "benchmarks" / "probe.py"))["linear_probe"]


def clouds(seed: int, spread: float, count: int = 300) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Return three clouds in five dimensions, with ten examples per group."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    features = 100 * rng.normal(size=(3, 5))[labels] + 100 * spread * rng.normal(size=(count, 5)) + 1000
    return torch.tensor(features), torch.tensor(labels), [f"image {i // 10}" for i in range(count)]


def test_the_probe_reads_separable_labels_but_not_random_ones():
    features, labels, groups = clouds(0, spread=0.1)
    found = linear_probe(features, labels, groups, classes=3, seed=0)
    assert found.accuracy == 1
    assert found.majority < 0.6
    assert (found.trained_on, found.tested_on) == (210, 90)
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    assert linear_probe(features, shuffled, groups, classes=3, seed=0).accuracy < 0.5


def test_no_group_is_in_both_training_and_test():
    # The feature identifies the group, so it predicts the labels of training groups only.
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(100), 5)
    labels = torch.tensor(rng.integers(0, 2, 100)[group])
    features = torch.eye(100)[group]
    found = linear_probe(features, labels, [str(g) for g in group], classes=2, seed=0)
    assert found.accuracy == pytest.approx(0.5, abs=0.25)


def test_the_same_seed_gives_the_same_result():
    features, labels, groups = clouds(1, spread=1.0)
    assert linear_probe(features, labels, groups, classes=3, seed=3) == linear_probe(
        features, labels, groups, classes=3, seed=3
    )


def test_a_constant_feature_and_half_precision_are_harmless():
    features, labels, groups = clouds(0, spread=0.1)
    features = torch.cat([features / 100, torch.full((len(features), 1), 7.0)], dim=1).half()
    assert linear_probe(features, labels, groups, classes=3, seed=0).accuracy > 0.97


def test_the_accuracy_equals_that_of_scipys_optimum():
    features, labels, groups = clouds(2, spread=1.0)
    found = linear_probe(features, labels, groups, classes=3, seed=0)
    held_out = np.isin(groups, np.random.default_rng(0).permutation(np.unique(groups))[:9])
    x, y = features.numpy(), labels.numpy()
    x = (x - x[~held_out].mean(0)) / x[~held_out].std(0)

    def loss(flat):
        weight, bias = flat[:15].reshape(5, 3), flat[15:]
        logits = x[~held_out] @ weight + bias
        picked = logits[np.arange(len(logits)), y[~held_out]]
        return (logsumexp(logits, axis=1) - picked).mean() + 1e-3 * (weight**2).sum()

    best = minimize(loss, np.zeros(18)).x
    predicted = (x[held_out] @ best[:15].reshape(5, 3) + best[15:]).argmax(1)
    assert 0.4 < found.accuracy < 1
    assert found.accuracy == pytest.approx((predicted == y[held_out]).mean(), abs=0.012)


def test_a_single_group_is_refused():
    with pytest.raises(DataError, match="too few"):
        linear_probe(torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), ["a"] * 4, classes=2, seed=0)
