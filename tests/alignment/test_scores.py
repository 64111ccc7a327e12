"""Eq. 5, 8, 9, 14, 15 and the category filter, by hand and against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from aligncat.alignment.scores import category_score, coarse_score, fine_score, global_score, log_partition
from aligncat.alignment.selection import keep_best, select, with_category


def bools(*rows: str) -> Tensor:
    return torch.tensor([[mark == "x" for mark in row] for row in rows])


def test_category_score_is_one_if_the_categories_are_equal() -> None:
    categories = torch.tensor([[3, 7, 3], [0, 1, 2], [4, -1, 5]])
    scores = category_score(categories, torch.tensor([3, 5, -1]))
    assert scores.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("score", [global_score, fine_score])
def test_similarity_is_the_dot_product_of_each_pair(score) -> None:  # type: ignore[no-untyped-def]
    queries = torch.tensor([[[1.0, 2.0], [0.0, -1.0]], [[3.0, 0.5], [1.0, 1.0]]])
    assert score(queries, torch.tensor([[2.0, 1.0], [1.0, 4.0]])).tolist() == [[4, -1], [5, 5]]
    rng = np.random.default_rng(0)
    q, t = rng.normal(size=(5, 7, 16)), rng.normal(size=(5, 16))
    expected = np.array([[q[b, o] @ t[b] for o in range(7)] for b in range(5)])
    np.testing.assert_allclose(score(torch.from_numpy(q), torch.from_numpy(t)).numpy(), expected)


def test_coarse_score_weights_the_category_by_alpha() -> None:
    scores = coarse_score(torch.tensor([[1.0, 0.0]]), torch.tensor([[-2.5, 3.0]]), alpha=100.0)
    assert scores.tolist() == [[97.5, 3.0]]


def test_only_candidates_of_the_category_are_kept_or_all_if_none_has_it() -> None:
    class_scores = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 0]])
    eligible = bools("xx.", "xx.", ".xx", "xxx")
    stay, matched = with_category(class_scores, torch.tensor([2, 2, 2, -1]), eligible)
    assert torch.equal(stay, bools("x..", "xx.", ".xx", "xxx"))
    assert matched.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [(1, "...x."), (2, ".x.x."), (3, ".x.xx"), (4, ".x.xx"), (9, ".x.xx")],
)
def test_the_k_best_eligible_candidates_are_kept_and_ties_keep_the_first(keep: int, expected: str) -> None:
    scores = torch.tensor([[9.0, 1.0, 8.0, 5.0, 1.0]])
    assert torch.equal(keep_best(scores, bools(".x.xx"), keep), bools(expected))


def test_the_best_kept_candidate_is_chosen_and_ties_choose_the_first() -> None:
    scores = torch.tensor([[9.0, 1.0, 5.0, 5.0], [-3.0, -1.0, -2.0, 0.0]])
    assert select(scores, bools(".xxx", "x.x.")).tolist() == [2, 2]


def test_the_log_partition_is_over_the_valid_references() -> None:
    rng = np.random.default_rng(0)
    texts, queries = rng.normal(size=(3, 8)), rng.normal(size=(4, 5, 8))
    valid = rng.random((4, 5)) < 0.6
    expected = [
        np.log(np.mean([np.exp(texts[b] @ queries[m, o]) for m in range(4) for o in range(5) if valid[m, o]]))
        for b in range(3)
    ]
    found = log_partition(torch.tensor(texts), torch.tensor(queries), torch.tensor(valid))
    assert found.numpy() == pytest.approx(np.array(expected))
