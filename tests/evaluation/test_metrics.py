from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from aligncat.evaluation.metrics import ErrorShares
from aligncat.evaluation.outcomes import measure
from aligncat.evaluation.overlaps import Overlaps
from aligncat.evaluation.stored_metrics import read_error_shares, read_metrics
from aligncat.geometry import encode_mask
from aligncat.types import Expression, Truth

FULL = (0, 0, 20, 10)


def test_metrics_match_a_hand_calculation(by_hand):
    metrics = measure(by_hand(), [0, 2, 1, 0], ["person", "dog", "dog", None])
    assert metrics.expressions == metrics.with_mask == 4
    # the boxes of e2 and e4 have an IoU of exactly 0.5, which is not enough
    assert metrics.rec == 2 / 4
    assert metrics.oracle_rec == 3 / 4
    # mask IoU 1, 0.5, 1, 0.5; (100 + 50 + 100 + 100) / (100 + 100 + 100 + 200)
    assert metrics.res_miou == 3 / 4
    assert metrics.res_oiou == 350 / 500
    assert metrics.oracle_res_miou == (1 + 1 + 1 + 0.5) / 4
    assert metrics.precision == {"0.5": 0.5, "0.6": 0.5, "0.7": 0.5, "0.8": 0.5, "0.9": 0.5}
    assert metrics.category_accuracy == 2 / 4


def test_a_box_at_exactly_half_is_wrong_and_just_above_is_right(make_store, make):
    store = make_store([make.candidates("i", [(0, 0, 10, 10), (0, 0, 11, 10)], ["dog", "dog"])])
    table = Overlaps.of(store, make.split([Expression("e", "r", "i", "dog")]), {"r": make.truth(FULL, "dog")})
    assert measure(table, [0]).rec == 0
    assert measure(table, [1]).rec == 1


@pytest.mark.parametrize(
    ("columns", "passed"),
    [(10, 0), (11, 1), (12, 1), (13, 2), (14, 2), (15, 3), (16, 3), (17, 4), (18, 4), (19, 5)],
)
def test_precision_thresholds_are_strict(make_store, make, columns, passed):
    # `columns` of 20 columns: an IoU of columns / 20
    store = make_store([make.candidates("i", [(0, 0, columns, 10)], ["dog"])])
    table = Overlaps.of(store, make.split([Expression("e", "r", "i", "dog")]), {"r": make.truth(FULL, "dog")})
    assert list(measure(table, [0]).precision.values()) == [1] * passed + [0] * (5 - passed)


@pytest.mark.parametrize(
    ("choice", "by_claim", "by_truth"),
    [
        # counts: out of reach, other category, same category; e4 is always out of reach
        ([0, 0, 1, 0], (1, 0, 0), (1, 0, 0)),
        # e1: the dog's box, which the detector calls a person
        ([1, 0, 1, 0], (1, 0, 1), (1, 1, 0)),
        # e2: the candidate on no object, which the detector calls a dog
        ([0, 2, 1, 0], (1, 1, 0), (1, 1, 0)),
        # e3, a dog: the person; then half the person, which the detector calls a dog
        ([0, 0, 0, 0], (1, 1, 0), (1, 1, 0)),
        ([0, 0, 2, 0], (1, 0, 1), (1, 0, 1)),
    ],
)
def test_every_wrong_answer_counts_in_one_share_of_errors(by_hand, choice, by_claim, by_truth):
    objects = {"i1": (np.array([[0, 0, 10, 10], [10, 0, 20, 10]], dtype=float), ["person", "dog"])}
    for table, counts in ((by_hand(), by_claim), (by_hand(objects), by_truth)):
        errors = measure(table, choice).errors
        assert (errors.out_of_reach, errors.other_category, errors.same_category) == tuple(c / 4 for c in counts)


def test_slices_have_their_own_metrics(by_hand):
    metrics = measure(by_hand(), [0, 2, 1, 0])
    assert {kind: s.expressions for kind, s in metrics.by_kind.items()} == {"category": 1, "color": 2}
    assert metrics.by_kind["category"].rec == 1
    assert metrics.by_kind["color"].rec == 0.5
    assert metrics.by_kind["color"].errors.other_category == 0.5
    assert {a: sorted(roles) for a, roles in metrics.by_attribute.items()} == {
        "color": ["needed"],
        "place": ["redundant"],
    }
    assert metrics.by_attribute["place"]["redundant"].rec == 1
    assert metrics.by_attribute["color"]["needed"].res_oiou == 150 / 200
    assert sorted(metrics.slices()) == ["color needed", "kind category", "kind color", "place redundant"]
    assert not metrics.by_kind["color"].by_kind


def test_without_masks_and_categories_their_metrics_are_none_and_null_in_json(make_store, make):
    store = make_store([make.candidates("i", [(0, 0, 5, 5), FULL], ["dog", "dog"])])
    truth = {"r": make.truth(FULL, None, mask=False)}
    table = Overlaps.of(store, make.split([Expression("e", "r", "i", "dog")]), truth)
    metrics = measure(table, [0], ["dog"])
    assert (metrics.rec, metrics.oracle_rec, metrics.with_mask) == (0, 1, 0)
    assert (metrics.res_miou, metrics.res_oiou, metrics.oracle_res_miou, metrics.precision) == (None,) * 4
    assert metrics.category_accuracy is None
    assert metrics.errors is None  # reachable but missed: the share depends on an unknown category
    assert json.loads(json.dumps(metrics.to_json(), allow_nan=False))["res_miou"] is None


def test_mask_metrics_count_only_expressions_whose_truth_has_a_mask(make_store, make):
    store = make_store([make.candidates("i", [(0, 0, 10, 10)], ["dog"])])
    expressions = [Expression("e1", "r1", "i", "dog"), Expression("e2", "r2", "i", "dog")]
    truth = {"r1": make.truth(FULL, "dog"), "r2": make.truth((0, 0, 10, 10), "dog", mask=False)}
    metrics = measure(Overlaps.of(store, make.split(expressions), truth), [0, 0])
    assert (metrics.expressions, metrics.with_mask, metrics.rec, metrics.res_miou) == (2, 1, 0.5, 0.5)


@pytest.mark.parametrize("choice", [-1, 0, 3])
def test_an_image_without_candidates_counts_as_wrong_with_iou_0(make_store, make, choice):
    store = make_store([make.candidates("none", [], []), make.candidates("one", [FULL], ["dog"])])
    expressions = [Expression("e1", "r1", "none", "dog"), Expression("e2", "r2", "one", "dog")]
    truth = {"r1": make.truth((0, 0, 10, 10), "dog"), "r2": make.truth(FULL, "dog")}
    metrics = measure(Overlaps.of(store, make.split(expressions), truth), [choice, 0])
    assert (metrics.rec, metrics.oracle_rec, metrics.res_miou) == (0.5, 0.5, 0.5)
    assert metrics.res_oiou == 200 / 300
    assert metrics.errors.out_of_reach == 0.5


@pytest.mark.parametrize("choice", [[0, 0, 0], [[0, 0, 0, 0]], [0, 0, 3, 0], [0, -1, 0, 0]])
def test_a_choice_that_is_not_a_candidate_is_refused(by_hand, choice):
    with pytest.raises(ValueError, match=r"choices|was chosen"):
        measure(by_hand(), choice)


def test_predictions_of_another_length_are_refused(by_hand):
    with pytest.raises(ValueError, match="shorter"):
        measure(by_hand(), [0, 0, 0, 0], ["dog"])


def test_metrics_survive_a_round_trip_through_json(by_hand):
    metrics = measure(by_hand(), [0, 2, 1, 0], ["person"] * 4)
    assert read_metrics(json.loads(json.dumps(metrics.to_json())), "scores") == metrics


def test_the_error_shares_are_stored_under_the_keys_of_earlier_results(by_hand):
    # e2: a dog instead of a person; e3: another dog, according to the detector; e4: no candidate passes
    found = measure(by_hand(), [0, 2, 2, 0]).errors
    assert found == ErrorShares(out_of_reach=0.25, other_category=0.25, same_category=0.25)
    stored = {"not_among_candidates": 0.25, "wrong_category": 0.25, "wrong_object": 0.25}
    assert found.to_json() == stored and read_error_shares(stored, "errors") == found


def test_choices_may_be_a_tensor(by_hand):
    assert measure(by_hand(), torch.tensor([0, 2, 1, 0])) == measure(by_hand(), [0, 2, 1, 0])


def test_random_masks_agree_with_a_plain_loop_over_pixels(make_store, make):
    """Compare random masks, boxes, choices and slices with pixels counted one expression at a time."""
    rng = np.random.default_rng(0)
    images, truth, expressions, pixels = [], {}, [], {}
    for i in range(12):
        corners = np.sort(rng.integers(0, (20, 10), size=(5, 2, 2)), axis=1)
        boxes = (corners + np.array([[0, 0], [1, 1]])).reshape(5, 4)
        masks = rng.random((5, 10, 20)) < rng.random((5, 1, 1))
        image = make.candidates(f"i{i}", boxes.tolist(), rng.choice(["person", "dog", "cat"], 5).tolist())
        images.append(replace(image, masks=tuple(encode_mask(mask) for mask in masks)))
        target = masks[0] ^ (rng.random((10, 20)) < 0.2)
        truth[f"r{i}"] = Truth.of_one(
            boxes[0] + rng.uniform(-1, 1, 4), encode_mask(target), str(rng.choice(["dog", "cat"]))
        )
        expressions += [Expression(f"e{i}-{j}", f"r{i}", f"i{i}", "it", kind="ab"[i % 2]) for j in range(1 + i % 3)]
        pixels[f"i{i}"] = (boxes, masks, target, image.categories)
    choice = rng.integers(0, 5, len(expressions))
    metrics = measure(Overlaps.of(make_store(images), make.split(expressions), truth), choice)

    for rows, found in (
        (expressions, metrics),
        ([e for e in expressions if e.kind == "b"], metrics.by_kind["b"]),
    ):
        ious, shared, either, right, reachable, other, same = [], 0, 0, 0, 0, 0, 0
        for e in rows:
            boxes, masks, target, categories = pixels[e.image_id]
            chosen = choice[expressions.index(e)]
            shared += (masks[chosen] & target).sum()
            either += (masks[chosen] | target).sum()
            ious.append((masks[chosen] & target).sum() / (masks[chosen] | target).sum())
            passes = [plain_iou(box, truth[e.referent_id].box) > 0.5 for box in boxes]
            right += passes[chosen]
            reachable += any(passes)
            if any(passes) and not passes[chosen]:
                agrees = ("person", "dog", "cat")[categories[chosen]] == truth[e.referent_id].category
                same += agrees
                other += not agrees
        count = len(rows)
        assert 0 < right < reachable
        assert found.rec == pytest.approx(right / count)
        assert found.oracle_rec == pytest.approx(reachable / count)
        assert found.res_miou == pytest.approx(np.mean(ious))
        assert found.res_oiou == pytest.approx(shared / either)
        assert found.res_oiou != pytest.approx(found.res_miou)
        assert found.precision["0.6"] == pytest.approx(np.mean(np.array(ious) > 0.6))
        assert found.errors.other_category == pytest.approx(other / count)
        assert found.errors.same_category == pytest.approx(same / count)
        total = found.errors.out_of_reach + found.errors.other_category + found.errors.same_category
        assert total == pytest.approx(1 - found.rec)


def plain_iou(a, b) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)
