"""Eq. 1 to 3 by hand, and the selection against a plain loop that follows the paper's text."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from aligncat.alignment.negatives import difficulty, quality, select_negatives, uniqueness

INF = float("inf")


def plain_loop(
    queries: NDArray[np.float64],
    texts: NDArray[np.float64],
    valid: NDArray[np.bool_],
    image_index: NDArray[np.int64],
    count: int,
) -> list[list[list[int]]]:
    """Return picks[b][j], the negatives of text b in sample j, in order of selection."""
    batch, slots, _ = queries.shape
    unit = queries / np.linalg.norm(queries, axis=-1, keepdims=True)
    picks: list[list[list[int]]] = [[[] for _ in range(batch)] for _ in range(batch)]
    for b in range(batch):
        others = [j for j in range(batch) if image_index[j] != image_index[b]]
        chosen_directions: list[NDArray[np.float64]] = []
        hard: dict[int, dict[int, float]] = {}
        for j in others:
            sims = {o: float(queries[j, o] @ texts[b]) for o in range(slots) if valid[j, o]}
            low, high = min(sims.values(), default=0.0), max(sims.values(), default=0.0)
            hard[j] = {o: (s - low) / (high - low) if high > low else 1.0 for o, s in sims.items()}
        for _ in range(count):
            earlier = np.array(chosen_directions)
            for j in others:
                best, best_quality = None, -INF
                for o, difficult in hard[j].items():
                    if o in picks[b][j]:
                        continue
                    unique = (1 - (earlier @ unit[j, o]).max()) / 2 if len(earlier) else 1.0
                    if difficult * unique > best_quality:
                        best, best_quality = o, difficult * unique
                if best is not None:
                    picks[b][j].append(best)
                    chosen_directions.append(unit[j, best])
    return picks


def as_lists(indices: Tensor, mask: Tensor) -> list[list[list[int]]]:
    return [[row[there].tolist() for row, there in zip(*pair, strict=True)] for pair in zip(indices, mask, strict=True)]


def test_difficulty_is_normalised_over_the_candidates_without_padding() -> None:
    scores = torch.tensor([[2.0, 6.0, 3.0, 99.0], [5.0, 5.0, 5.0, -9.0], [4.0, 1.0, 1.0, 1.0]])
    available = torch.tensor([[True, True, True, False], [True, True, True, False], [False] * 4])
    assert difficulty(scores, available).tolist() == [[0, 1, 0.25, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_uniqueness_and_quality_by_hand() -> None:
    assert uniqueness(torch.tensor([-1.0, 0.0, 0.5, 1.0])).tolist() == [1, 0.5, 0.25, 0]
    assert quality(torch.tensor([0.5, 1.0]), torch.tensor([0.5, 0.25])).tolist() == [0.25, 0.25]


def test_two_images_by_hand() -> None:
    # Text 0 = (1, 0) picks from image 1, whose candidates score 4, 3, 2, 0: difficulties 1, .75, .5, 0.
    # Round 1: candidate 0, which points along (1, 0). Round 2: (3, 4) has cosine .6 with it, uniqueness .2 and quality
    # .75 x .2 = .15; (2, 1) has cosine .894, uniqueness .053 and quality .5 x .053 = .026; so candidate 1 is next.
    queries = torch.tensor(
        [[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [[4.0, 0.0], [3.0, 4.0], [2.0, 1.0], [0.0, 1.0]]]
    )
    texts = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    scores = torch.einsum("bd,jod->bjo", texts, queries)
    found = select_negatives(scores, queries, torch.ones(2, 4, dtype=torch.bool), torch.tensor([0, 1]), 2)
    # Text 1 = (0, 2) picks from image 0: scores 0, 2, 0, -2, difficulties .5, 1, .5, 0. Round 1: candidate 1.
    # Round 2: 0 and 2 both have cosine 0 with it and quality .25, so the lower index is next.
    assert as_lists(*found) == [[[], [0, 1]], [[1, 0], []]]


def test_picks_in_one_image_lower_the_uniqueness_in_another() -> None:
    # In both other images the hardest candidate points along x. After round 1, x is no longer unique, so round 2 picks
    # the candidate along y in both.
    image = [[1.0, 0.0], [0.8, 0.1], [0.2, -1.0], [0.0, 0.0]]
    queries = torch.tensor([[[0.0, 1.0]] * 4, image, image])
    scores = torch.einsum("bd,jod->bjo", torch.tensor([[1.0, 0.0]] * 3), queries)
    found = select_negatives(scores, queries, torch.ones(3, 4, dtype=torch.bool), torch.arange(3), 2)
    assert as_lists(*found)[0] == [[], [0, 2], [0, 2]]


def test_samples_of_one_image_are_never_each_others_negatives() -> None:
    torch.manual_seed(0)
    queries, valid = torch.randn(4, 5, 8), torch.ones(4, 5, dtype=torch.bool)
    image_index = torch.tensor([7, 3, 7, 1])
    _, mask = select_negatives(torch.randn(4, 4, 5), queries, valid, image_index, 3)
    assert torch.equal(mask, (image_index[:, None] != image_index)[..., None].expand(4, 4, 3))


def test_an_image_provides_each_candidate_at_most_once() -> None:
    torch.manual_seed(0)
    valid = torch.tensor([[True] * 5, [True, False, True, False, False], [False] * 5])
    found = select_negatives(torch.randn(3, 3, 5), torch.randn(3, 5, 8), valid, torch.arange(3), 4)
    picks = as_lists(*found)
    assert sorted(picks[0][1]) == [0, 2]
    assert picks[0][2] == picks[1][2] == []
    assert len(set(picks[1][0])) == 4


def test_equal_candidates_are_picked_in_order_of_their_index() -> None:
    queries = torch.tensor([[1.0, 0.0]]).expand(2, 4, 2).contiguous()
    found = select_negatives(torch.ones(2, 2, 4), queries, torch.ones(2, 4, dtype=torch.bool), torch.arange(2), 3)
    assert as_lists(*found) == [[[], [0, 1, 2]], [[0, 1, 2], []]]


@pytest.mark.parametrize(
    ("batch", "slots", "count", "images"),
    [(2, 3, 2, 2), (8, 20, 4, 6), (16, 5, 6, 9), (72, 20, 4, 50)],  # the last has more rows than are computed at once
)
def test_every_pick_equals_the_plain_loops(batch: int, slots: int, count: int, images: int) -> None:
    rng = np.random.default_rng(batch)
    # A shared offset makes cosines large and positive, as in trained projections.
    queries = rng.normal(size=(batch, slots, 24)) + rng.normal(size=24)
    texts = rng.normal(size=(batch, 24))
    valid = np.arange(slots) < rng.integers(1, slots + 1, size=(batch, 1))
    image_index = np.concatenate([np.arange(images), rng.integers(0, images, batch - images)])
    scores = torch.from_numpy(np.einsum("bd,jod->bjo", texts, queries))
    found = select_negatives(
        scores, torch.from_numpy(queries), torch.from_numpy(valid), torch.from_numpy(image_index), count
    )
    assert as_lists(*found) == plain_loop(queries, texts, valid, image_index, count)


@pytest.mark.parametrize(("batch", "first", "texts"), [(8, 3, 2), (80, 40, 40)])
def test_the_negatives_of_some_texts_are_those_that_they_have_among_all(batch: int, first: int, texts: int) -> None:
    torch.manual_seed(0)
    queries, scores = torch.randn(batch, 20, 16), torch.randn(batch, batch, 20)
    valid = torch.arange(20) < torch.randint(1, 21, (batch, 1))
    image_index = torch.arange(batch) // 2
    everyone = select_negatives(scores, queries, valid, image_index, 4)
    rows = slice(first, first + texts)
    found = select_negatives(scores[rows], queries, valid, image_index, 4, first=first)
    assert torch.equal(found.indices, everyone.indices[rows]) and torch.equal(found.mask, everyone.mask[rows])


@pytest.mark.parametrize(("batch", "slots", "texts"), [(64, 20, 64), (32, 20, 8), (64, 8, 64)])
def test_peak_memory_stays_within_the_documented_bound(batch: int, slots: int, texts: int) -> None:
    torch.manual_seed(0)
    queries, scores = torch.randn(batch, slots, 512), torch.randn(texts, batch, slots)
    valid, image_index = torch.ones(batch, slots, dtype=torch.bool), torch.arange(batch)
    with torch.profiler.profile(profile_memory=True) as profile:
        select_negatives(scores, queries, valid, image_index, 4)
    held = peak = 0
    for event in profile.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    table = (batch * slots) ** 2 * 4
    assert table < peak <= table + 12 * texts * batch * slots * 4


_RESIDENT = """
import torch
from pathlib import Path
from aligncat.alignment.negatives import select_negatives

def peak() -> float:
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024  # MB

torch.set_num_threads(1)
queries = torch.randn(256, 20, 512)
scores = (torch.randn(256, 512) @ queries.flatten(0, 1).T).view(256, 256, 20)
valid, images = torch.ones(256, 20, dtype=torch.bool), torch.arange(256)
select_negatives(scores[:8, :8], queries[:8], valid[:8], images[:8], 4)  # loads the libraries
before = peak()
select_negatives(scores, queries, valid, images, 4)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_grows_by_less_than_300_mb_at_a_batch_of_256() -> None:
    # What torch asks for says nothing of gaps between what it keeps: 150 MB of requests once took 1,400 MB.
    done = subprocess.run([sys.executable, "-c", _RESIDENT], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) < 300


def test_the_selection_has_no_gradient() -> None:
    queries = torch.randn(2, 3, 4, requires_grad=True)
    scores = torch.einsum("bd,jod->bjo", torch.randn(2, 4), queries)
    indices, mask = select_negatives(scores, queries, torch.ones(2, 3, dtype=torch.bool), torch.arange(2), 2)
    assert not indices.requires_grad
    assert not mask.requires_grad
