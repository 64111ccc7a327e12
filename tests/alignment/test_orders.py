"""Places in an order, by hand and against plain loops."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from aligncat.alignment.box_geometry import find_neighbours
from aligncat.alignment.config import LEAST_CONFIDENCE
from aligncat.alignment.orders import DIRECTIONS, ORDERS, RANKS, order_index, places_in_orders


def box(x: float, y: float, side: float = 0.1) -> list[float]:
    return [x, y, x + side, y + side]


def places(
    boxes: list[list[float]], categories: list[int], confidences: list[float], padding: int = 0
) -> dict[str, list[int]]:
    """Return the place of each candidate from each direction, -1 if it has none of the counted ones."""
    found = torch.tensor([boxes + [box(0, 0)] * padding])
    valid = torch.tensor([[True] * len(boxes) + [False] * padding])
    kinds = torch.tensor([categories + [categories[0]] * padding])
    trust = torch.tensor([confidences + [0.0] * padding])
    one_hot = places_in_orders(kinds, found, trust, find_neighbours(found, valid), valid)[0]
    assert one_hot.shape == (len(boxes) + padding, ORDERS) and set(one_hot.flatten().tolist()) <= {0.0, 1.0}
    assert not one_hot[len(boxes) :].any()
    by_direction = one_hot.view(-1, len(DIRECTIONS), RANKS)
    assert (by_direction.sum(dim=-1) <= 1).all()
    return {
        name: [int(row.argmax()) if row.any() else -1 for row in by_direction[: len(boxes), place]]
        for place, name in enumerate(DIRECTIONS)
    }


def test_places_are_counted_from_each_side() -> None:
    found = places([box(0.5, 0.1), box(0.1, 0.3), box(0.8, 0.6)], [0, 0, 0], [0.9, 0.9, 0.9])
    assert found == {"left": [1, 0, 2], "right": [1, 2, 0], "top": [0, 1, 2], "bottom": [2, 1, 0]}


def test_each_category_is_counted_by_itself() -> None:
    found = places([box(0.5, 0), box(0.1, 0), box(0.3, 0), box(0.8, 0)], [0, 1, 0, 1], [0.9] * 4)
    assert found["left"] == [1, 0, 0, 1]


def test_an_object_that_is_proposed_twice_counts_once_and_both_have_its_place() -> None:
    found = places([box(0.1, 0), box(0.5, 0), box(0.11, 0), box(0.8, 0)], [0] * 4, [0.9, 0.8, 0.7, 0.6])
    assert found["left"] == [0, 1, 0, 2] and found["right"] == [2, 1, 2, 0]


def test_what_is_hardly_found_does_not_count() -> None:
    low = LEAST_CONFIDENCE * 0.9
    assert places([box(0.5, 0), box(0.1, 0)], [0, 0], [0.9, low + 0.01])["left"] == [1, 0]
    assert places([box(0.5, 0), box(0.1, 0)], [0, 0], [0.9, low - 0.01])["left"] == [0, 0]


def test_padding_counts_nothing_and_has_no_place() -> None:
    assert places([box(0.5, 0), box(0.2, 0)], [0, 0], [0.9, 0.8], padding=3)["left"] == [1, 0]


def test_of_equally_near_centres_none_counts_for_the_other() -> None:
    found = places([box(0.1, 0.4), box(0.4, 0.4), box(0.7, 0.4)], [0, 0, 0], [0.9, 0.8, 0.7])
    assert found == {"left": [0, 1, 2], "right": [2, 1, 0], "top": [0, 0, 0], "bottom": [0, 0, 0]}


def test_the_repeat_of_a_repeat_may_be_another_object() -> None:
    # The IoUs of neighbours are 0.075 / 0.125 and 0.07 / 0.13; that of the first and the third is 0.045 / 0.155.
    found = places([box(0.1, 0), box(0.125, 0), box(0.155, 0), box(0.5, 0)], [0] * 4, [0.9, 0.8, 0.7, 0.6])
    assert found["right"][0] == 2 and found["left"][3] == 2


def test_beyond_the_last_counted_place_there_is_none() -> None:
    found = places([box(0.15 * number, 0) for number in range(RANKS + 1)], [0] * (RANKS + 1), [0.9] * (RANKS + 1))
    assert found["left"] == [*range(RANKS), -1] and found["right"] == [-1, *reversed(range(RANKS))]


def test_against_plain_loops() -> None:
    draw = torch.Generator().manual_seed(0)
    images, slots = 40, 9
    corners = torch.rand(images, slots, 2, generator=draw) * 0.6
    boxes = torch.cat([corners, corners + 0.05 + torch.rand(images, slots, 2, generator=draw) * 0.35], dim=-1)
    categories = torch.randint(0, 2, (images, slots), generator=draw)
    confidences = torch.rand(images, slots, generator=draw).sort(descending=True).values
    valid = torch.arange(slots) < torch.randint(0, slots + 1, (images, 1), generator=draw)
    near = find_neighbours(boxes, valid)
    found = places_in_orders(categories, boxes, confidences, near, valid)
    for image in range(images):
        kept = [i for i in range(slots) if valid[image, i]]
        for i in kept:
            alike = [j for j in kept if categories[image, j] == categories[image, i]]
            best = max(float(confidences[image, j]) for j in alike)
            objects: list[int] = []
            for j in alike:  # most confident first, each object once
                if all(near[image, j, first] for first in objects):
                    objects.append(j)
            counted = [j for j in objects if confidences[image, j] >= LEAST_CONFIDENCE * best]
            for place, direction in enumerate(DIRECTIONS):
                sides = [_distance(direction, boxes[image, j]) for j in counted if near[image, i, j]]
                rank = sum(each < _distance(direction, boxes[image, i]) for each in sides)
                expected = [float(rank == other) for other in range(RANKS)]
                assert found[image, i, place * RANKS : (place + 1) * RANKS].tolist() == expected


def _distance(direction: str, xyxy: Tensor) -> float:
    """Return how far the centre of a box is from a side of the photo."""
    x1, y1, x2, y2 = xyxy.tolist()
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    return {"left": x, "right": 1 - x, "top": y, "bottom": 1 - y}[direction]


@pytest.mark.parametrize(("direction", "rank"), [*itertools.product(DIRECTIONS, range(RANKS))])
def test_the_index_is_that_of_the_places(direction: str, rank: int) -> None:
    boxes = [box(0.15 * number, 0.15 * number) for number in range(RANKS)]
    found = torch.tensor([boxes])
    valid = torch.ones(1, RANKS, dtype=torch.bool)
    near = find_neighbours(found, valid)
    one_hot = places_in_orders(torch.zeros(1, RANKS, dtype=torch.int64), found, torch.ones(1, RANKS), near, valid)[0]
    chosen = one_hot[:, order_index(direction, rank)].nonzero().flatten().tolist()
    assert chosen == [rank if direction in ("left", "top") else RANKS - 1 - rank]


def test_a_rank_that_is_not_counted_has_no_index() -> None:
    assert order_index("top", RANKS) == -1
