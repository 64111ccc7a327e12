"""A grounding's short text, JSON values and mask, and its conversions for supervision and pandas."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from aligncat import to_pandas, to_supervision
from aligncat.errors import ConfigError, DataError
from aligncat.grounder import interop
from aligncat.grounder.choices import object_probability
from aligncat.grounder.grounding import Answer, CandidateScore, Grounding

MASK = np.zeros((4, 6), np.uint8)
MASK[1:3, 2:5] = 1


def grounding(expression: str = "red dog", mask: np.ndarray = MASK) -> Grounding:
    box = (2.0, 1.0, 5.0, 3.0)
    kept = CandidateScore(box, "dog", 0.75, True, 0.625, {"global": 2.5, "fine": -1.0})
    dropped = CandidateScore((0.0, 0.0, 1.0, 1.0), "cat", 0.5, False, 0.0, {"global": float("-inf"), "fine": 0.5})
    return Grounding(
        expression=expression,
        box=box,
        mask=coco_mask.encode(np.asfortranarray(mask)),
        probability=0.625,
        category="dog",
        predicted_category="dog",
        category_matched=True,
        word_weights=(("red", 0.25), ("dog", 0.75)),
        choice=0,
        candidates=(kept, dropped),
    )


def with_two_answers() -> Grounding:
    """Return a grounding of a phrase for several objects: the dog, and a cat in the corner."""
    one = grounding("both animals")
    corner = np.zeros_like(MASK)
    corner[0, 0] = 1
    best = Answer(one.box, one.mask, match=0.75, probability=0.625, category="dog", choice=0)
    other = Answer((0.0, 0.0, 1.0, 1.0), coco_mask.encode(np.asfortranarray(corner)), 0.5, 0.0, "cat", 1)
    return replace(one, match=0.75, answers=(best, other))


def test_boxes_and_masks_are_those_of_all_answers() -> None:
    assert grounding().boxes == (grounding().box,) and grounding().masks == (grounding().mask,)
    several = with_two_answers()
    assert several.boxes == (several.box, (0.0, 0.0, 1.0, 1.0))
    assert [int(coco_mask.area(mask)) for mask in several.masks] == [6, 1]


def test_each_object_keeps_the_match_of_the_phrase_beside_its_own() -> None:
    best, other = with_two_answers().objects
    assert (best.match, best.object_match, best.probability) == (0.75, 0.75, 0.625)
    assert (other.match, other.object_match, other.probability) == (0.75, 0.5, 0.0)
    assert (other.box, other.category, other.choice, other.objects) == ((0.0, 0.0, 1.0, 1.0), "cat", 1, (other,))
    [alone] = grounding().objects
    assert (alone.match, alone.object_match) == (None, None)


def test_the_text_and_the_json_values_of_several_answers() -> None:
    several = with_two_answers()
    assert repr(several) == (
        "Grounding('both animals', box=(2, 1, 5, 3), probability=0.62, match=0.75, category='dog', 2 answers, "
        "2 candidates)"
    )
    values = several.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["match"] == 0.75 and [each["match"] for each in values["answers"]] == [0.75, 0.5]
    assert values["answers"][0]["mask"] == values["mask"] and values["answers"][1]["box"] == [0, 0, 1, 1]
    assert grounding().to_dict()["match"] is None and grounding().to_dict()["answers"] == []


def test_the_text_is_short() -> None:
    assert repr(grounding()) == (
        "Grounding('red dog', box=(2, 1, 5, 3), probability=0.62, category='dog', 2 candidates)"
    )


def test_the_mask_is_an_array_of_the_images_size() -> None:
    mask = grounding().mask_array()
    assert mask.dtype == np.bool_ and mask.flags.c_contiguous
    assert np.array_equal(mask, MASK.astype(bool))


def test_the_values_are_those_of_json() -> None:
    values = grounding().to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert values["box"] == [2.0, 1.0, 5.0, 3.0] and values["word_weights"] == [["red", 0.25], ["dog", 0.75]]
    assert values["candidates"][0]["scores"] == {"global": 2.5, "fine": -1.0}
    assert values["candidates"][1]["scores"] == {"global": None, "fine": 0.5}
    counts = values["mask"]["counts"].encode()
    assert np.array_equal(coco_mask.decode({"size": values["mask"]["size"], "counts": counts}), MASK)


def test_a_probability_is_at_most_one() -> None:
    """The float32 softmax of many candidates of one object can sum to more than 1."""
    rng = np.random.default_rng(0)
    boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (20, 1))
    sums = []
    for _ in range(200):
        shares = np.exp(rng.normal(size=20).astype(np.float32))
        shares /= shares.sum()
        sums.append(float(shares.sum()))
        assert 0 <= object_probability(shares, boxes, 0) <= 1
    assert max(sums) > 1


class TestSupervision:
    def test_groundings_become_detections(self) -> None:
        supervision = pytest.importorskip("supervision")
        found = to_supervision([grounding(), replace(grounding("cat"), probability=0.5), grounding()])
        assert isinstance(found, supervision.Detections) and len(found) == 3
        assert found.xyxy.tolist() == [[2, 1, 5, 3]] * 3
        assert np.array_equal(found.mask, np.stack([MASK.astype(bool)] * 3))
        assert found.confidence.tolist() == [0.625, 0.5, 0.625]
        assert found.class_id.tolist() == [0, 1, 0]
        assert found.data["class_name"].tolist() == ["red dog", "cat", "red dog"]
        assert found.data["category"].tolist() == ["dog"] * 3
        assert found.box_area.tolist() == [6.0] * 3 and found.area.tolist() == [6] * 3

    def test_each_answer_is_a_detection(self) -> None:
        pytest.importorskip("supervision")
        found = to_supervision([with_two_answers(), grounding()])
        assert found.xyxy.tolist() == [[2, 1, 5, 3], [0, 0, 1, 1], [2, 1, 5, 3]]
        assert found.confidence.tolist() == [0.75, 0.5, 0.625] and found.class_id.tolist() == [0, 0, 1]
        assert found.data["category"].tolist() == ["dog", "cat", "dog"]

    def test_no_grounding_is_no_detection(self) -> None:
        pytest.importorskip("supervision")
        assert len(to_supervision([])) == 0
        assert to_supervision(grounding()).xyxy.tolist() == to_supervision([grounding()]).xyxy.tolist()

    def test_images_of_two_sizes_are_refused(self) -> None:
        pytest.importorskip("supervision")
        with pytest.raises(DataError, match="images of 2 sizes"):
            to_supervision([grounding(), grounding(mask=MASK.T)])


def test_groundings_become_a_data_frame() -> None:
    pandas = pytest.importorskip("pandas")
    frame = to_pandas([grounding(), grounding("cat")])
    assert isinstance(frame, pandas.DataFrame)
    assert frame["expression"].tolist() == ["red dog", "cat"]
    assert frame[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[2.0, 1.0, 5.0, 3.0]] * 2
    assert frame["probability"].tolist() == [0.625, 0.625] and frame["category_matched"].tolist() == [True, True]
    assert (frame["height"][0], frame["width"][0]) == (4, 6)
    counts = frame["mask"][0].encode()
    assert np.array_equal(coco_mask.decode({"size": [4, 6], "counts": counts}), MASK)
    assert list(to_pandas([]).columns) == list(frame.columns)
    answers = to_pandas([with_two_answers(), grounding()])
    assert answers["expression"].tolist() == ["both animals", "both animals", "red dog"]
    assert answers["match"].tolist()[:2] == [0.75, 0.75] and answers["match"].isna().tolist() == [False, False, True]
    assert answers["object_match"].tolist()[:2] == [0.75, 0.5] and answers["object_match"].isna().tolist()[2]
    assert answers["category"].tolist() == ["dog", "cat", "dog"] and answers["x1"].tolist() == [2, 0, 2]
    assert to_pandas(grounding()).equals(frame[:1])


def test_a_missing_library_is_one_line() -> None:
    with pytest.raises(ConfigError, match=r"no_such_library is not installed; run pip install 'aligncat\[interop\]'"):
        interop._optional("no_such_library")
