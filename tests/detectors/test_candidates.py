"""Candidates from a small raw output, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from aligncat.detectors.candidates import RawOutput, image_candidates
from aligncat.errors import DetectorError
from aligncat.geometry import Letterbox, decode_mask
from aligncat.types import Candidates

# Three queries on a 2 x 2 grid, with class probabilities over two classes and "no object".
PROBABILITIES = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.4, 0.4, 0.2]], np.float32)
INSIDE = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 0]], [[1, 1], [1, 1]]], bool)
LOGIT = np.float32(np.log(4))  # a probability of 0.8
OUTPUT = RawOutput(
    class_logits=np.log(PROBABILITIES)[None],
    mask_logits=np.where(INSIDE, LOGIT, -LOGIT)[None],
    features=np.arange(6, dtype=np.float32).reshape(1, 3, 2),
)


def found(output: RawOutput = OUTPUT, *, candidates: int = 20, every_query: bool = False) -> Candidates:
    place = Letterbox.of(8, 8, 8)
    return image_candidates(output, 0, image_id="a", place=place, candidates=candidates, every_query=every_query)


def test_pairs_are_ranked_and_a_query_with_an_empty_mask_is_left_out() -> None:
    kept = found()
    # The confidences are 0.8 times 0.5, 0.4, 0.4 and 0.3. Equal pairs are sorted by class. Query 1 has an empty mask.
    assert [*zip(kept.queries.tolist(), kept.categories.tolist(), strict=True)] == [(0, 0), (2, 0), (2, 1), (0, 1)]
    np.testing.assert_allclose(kept.confidences, [0.4, 0.32, 0.32, 0.24], rtol=1e-6)
    assert kept.features.tolist() == [[0, 1], [4, 5], [4, 5], [0, 1]]
    assert kept.boxes[1].tolist() == [0, 0, 8, 8] and decode_mask(kept.masks[1]).all()
    assert (kept.width, kept.height, kept.image_id) == (8, 8, "a")


def test_only_the_most_confident_pairs_are_kept() -> None:
    assert found(candidates=2).queries.tolist() == [0, 2]


def test_every_query_is_kept_once_under_the_first_of_its_most_confident_classes() -> None:
    kept = found(every_query=True)
    assert (kept.queries.tolist(), kept.categories.tolist()) == ([0, 2], [0, 0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.filterwarnings("error")
def test_output_that_is_not_finite_is_reported(value: float) -> None:
    logits = OUTPUT.class_logits.copy()
    logits[0, 0, 0] = value
    with pytest.raises(DetectorError, match=r"image a: .*not finite"):
        found(OUTPUT._replace(class_logits=logits))


def test_boxes_and_the_masks_beside_them_must_be_numbers() -> None:
    """A confidence of the class alone does not tell."""
    boxes, masks = np.tile(np.float32([0, 0, 1, 1]), (1, 3, 1)), OUTPUT.mask_logits
    assert masks is not None
    place = Letterbox.of(8, 8, 8)
    for output in (
        OUTPUT._replace(boxes=np.where(boxes > 0, np.float32(np.nan), boxes)),
        OUTPUT._replace(boxes=boxes, mask_logits=np.where(masks > 0, np.float32(np.nan), masks)),
    ):
        with pytest.raises(DetectorError, match=r"image a: .*not finite"):
            image_candidates(
                output,
                0,
                image_id="a",
                place=place,
                candidates=20,
                every_query=False,
                confidence_rule=lambda classes, _: np.exp(classes[:, :-1]),
            )
