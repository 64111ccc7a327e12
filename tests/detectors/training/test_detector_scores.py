"""The measures of a detector, on candidates whose values can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aligncat.detectors.training.labelled import LabelledObject, LabelledPhoto
from aligncat.detectors.training.scores import score_candidates
from aligncat.geometry import encode_mask
from aligncat.types import RLE, Candidates

SIZE = 40
Box = tuple[float, float, float, float]


def rectangle(box: Box) -> RLE:
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    x1, y1, x2, y2 = map(int, box)
    mask[y1:y2, x1:x2] = True
    return encode_mask(mask)


def photo(*objects: tuple[int, Box], boxes_alone: bool = False, crowd: bool = False) -> LabelledPhoto:
    labelled = tuple(
        LabelledObject(category, box, None if boxes_alone else rectangle(box), crowd) for category, box in objects
    )
    return LabelledPhoto("a", Path("a"), (SIZE, SIZE), labelled)


def candidates(*found: tuple[int, Box]) -> Candidates:
    """Return candidates with falling confidence."""
    return Candidates(
        image_id="a",
        width=SIZE,
        height=SIZE,
        features=np.zeros((len(found), 1), np.float16),
        queries=np.arange(len(found), dtype=np.int32),
        categories=np.array([category for category, _ in found], np.int32),
        confidences=np.linspace(0.9, 0.1, len(found), dtype=np.float32),
        boxes=np.array([box for _, box in found], np.float32).reshape(-1, 4),
        masks=tuple(rectangle(box) for _, box in found),
        columns={},
    )


A, B = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 36.0, 36.0)


def test_perfect_candidates_reach_everything() -> None:
    scores = score_candidates([photo((0, A), (1, B))], [candidates((1, B), (0, A))], labels=2)
    assert scores.objects == 2 and scores.found == scores.right == 1
    assert scores.box_ap == scores.mask_ap == pytest.approx(1)


def test_the_best_overlapping_candidate_decides_the_class() -> None:
    # A's best candidate is of the wrong class; a worse one of the right class also passes. B is missed.
    found = candidates((0, (0, 0, 10, 8)), (1, A))
    scores = score_candidates([photo((0, A), (1, B))], [found], labels=2)
    assert (scores.found, scores.right, scores.usable) == (0.5, 0.0, 0.0)


def test_of_equal_boxes_the_most_confident_one_decides() -> None:
    scores = score_candidates([photo((0, A))], [candidates((0, A), (1, A))], labels=2)
    assert (scores.found, scores.right) == (1, 1)


def test_an_iou_of_exactly_one_half_does_not_pass() -> None:
    assert score_candidates([photo((0, A))], [candidates((0, (0, 0, 10, 5)))], labels=1).found == 0


def test_only_the_first_candidates_count() -> None:
    found = candidates((0, B), (0, A))
    counts = [score_candidates([photo((0, A))], [found], labels=1, candidates=number).found for number in (1, 2)]
    assert counts == [0, 1]


def test_average_precision_is_that_of_a_hand_calculation() -> None:
    # One object, found second: precision is 1/2 at every recall, for the thresholds that its IoU of 0.8 passes:
    # 0.5 to 0.8 in steps of 0.05 are 7 of 10.
    found = candidates((0, B), (0, (0, 0, 10, 8)))
    scores = score_candidates([photo((0, A))], [found], labels=1)
    assert scores.box_ap == pytest.approx(0.5 * 7 / 10, abs=1e-9)


def test_a_crowd_is_neither_an_object_nor_an_error() -> None:
    there = photo((0, B), crowd=True)
    scores = score_candidates([photo((0, A)), there], [candidates((0, A)), candidates((0, B))], labels=1)
    assert scores.objects == 1 and scores.found == 1 and scores.box_ap == pytest.approx(1)


def test_boxes_alone_have_no_mask_ap() -> None:
    scores = score_candidates([photo((0, A), boxes_alone=True)], [candidates((0, A))], labels=1)
    assert scores.mask_ap is None and scores.ap == scores.box_ap == pytest.approx(1)
    assert "box AP 100.0%" in str(scores)


def test_no_candidate_and_no_object_give_zeros() -> None:
    scores = score_candidates([photo((0, A)), photo()], [candidates(), candidates((0, A))], labels=1)
    assert (scores.objects, scores.found, scores.right, scores.box_ap) == (1, 0, 0, 0)
