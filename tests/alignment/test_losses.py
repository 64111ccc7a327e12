"""Eq. 16 to 19 by hand and against numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from aligncat.alignment.losses import category_loss, contrastive_loss, info_nce, total_loss, uncertainty_loss
from aligncat.alignment.negatives import select_negatives

INF = float("inf")


def test_info_nce_by_hand() -> None:
    # First text: -log(2 / (2 + 1 + 1)) = log 2. Second text, with one missing negative: -log(1 / (1 + 3)) = log 4.
    loss = info_nce(torch.tensor([math.log(2.0), 0.0]), torch.tensor([[0.0, 0.0], [math.log(3.0), -INF]]), 1.0)
    assert loss.item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_info_nce_divides_by_the_temperature() -> None:
    loss = info_nce(torch.tensor([0.5 * math.log(2)]), torch.tensor([[0.0]]), 0.5)
    assert loss.item() == pytest.approx(math.log(1.5))


def test_info_nce_is_finite_for_large_similarities_and_without_negatives() -> None:
    assert info_nce(torch.tensor([-1e4]), torch.tensor([[1e4]]), 1.0).item() == pytest.approx(2e4)
    positive = torch.tensor([3.0], requires_grad=True)
    loss = info_nce(positive, torch.full((1, 2), -INF), 1.0)
    loss.backward()
    assert loss.item() == 0.0
    assert positive.grad is not None
    assert positive.grad.tolist() == [0.0]


def test_contrastive_loss_against_numpy() -> None:
    rng = np.random.default_rng(3)
    batch, slots, tau = 6, 5, 2.0
    texts, queries = rng.normal(size=(batch, 8)), rng.normal(size=(batch, slots, 8))
    valid = np.arange(slots) < rng.integers(2, slots + 1, size=(batch, 1))
    images, choice = np.array([0, 1, 2, 3, 0, 1]), np.array([0, 1, 0, 1, 1, 0])
    t, q, v, i, c = map(torch.from_numpy, (texts, queries, valid, images, choice))
    scores = torch.einsum("bd,jod->bjo", t, q)
    indices, mask = (x.numpy() for x in select_negatives(scores, q, v, i, 3))
    losses = []
    for b in range(batch):
        positive = np.exp(queries[b, choice[b]] @ texts[b] / tau)
        negative = sum(
            np.exp(queries[j, o] @ texts[b] / tau)
            for j in range(batch)
            for o, there in zip(indices[b, j], mask[b, j], strict=True)
            if there
        )
        losses.append(-np.log(positive / (positive + negative)))
    loss = contrastive_loss(t, q, c, v, i, negatives_per_image=3, temperature=tau)
    assert loss.item() == pytest.approx(np.mean(losses))


def test_contrastive_gradient_reaches_only_positives_and_negatives() -> None:
    torch.manual_seed(0)
    texts, queries = torch.randn(3, 4, requires_grad=True), torch.randn(3, 6, 4, requires_grad=True)
    valid, images, choice = torch.ones(3, 6, dtype=torch.bool), torch.arange(3), torch.tensor([5, 0, 2])
    loss = contrastive_loss(texts, queries, choice, valid, images, negatives_per_image=1, temperature=1.0)
    loss.backward()
    scores = torch.einsum("bd,jod->bjo", texts, queries).detach()
    indices, mask = select_negatives(scores, queries.detach(), valid, images, 1)
    used = torch.zeros(3, 6, dtype=torch.bool)
    used[torch.arange(3), choice] = True
    for sample in range(3):
        used[sample, indices[:, sample][mask[:, sample]]] = True
    assert texts.grad is not None
    assert queries.grad is not None
    assert texts.grad.any(dim=1).all()
    assert torch.equal(queries.grad.any(dim=2), used)


def test_category_loss_by_hand_skips_unknown_labels() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [9.0, 1.0], [0.0, 0.0]])
    loss = category_loss(logits, torch.tensor([0, -1, 1]))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)


def test_category_loss_is_zero_if_no_label_is_known() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = category_loss(logits, torch.tensor([-1, -1]))
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_total_loss_by_hand() -> None:
    assert total_loss([torch.tensor(3.0), torch.tensor(5.0)], (2.0, 0.5)).item() == 8.5


def test_uncertainty_loss_by_hand_and_its_optimum() -> None:
    variances = torch.tensor([0.0, math.log(2.0)], requires_grad=True)
    loss = uncertainty_loss([torch.tensor(3.0), torch.tensor(2.0)], variances)
    loss.backward()
    assert loss.item() == pytest.approx(3 + 1 + math.log(2))
    # d/ds (exp(-s) L + s) = 1 - exp(-s) L: the weight settles at 1 / L.
    assert variances.grad is not None
    assert variances.grad.tolist() == pytest.approx([-2.0, 0.0])
