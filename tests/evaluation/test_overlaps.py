from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from aligncat.errors import DataError, StoreError
from aligncat.evaluation.measurable import measurable
from aligncat.evaluation.overlaps import Overlaps
from aligncat.types import Expression

FULL = (0, 0, 20, 10)


def test_overlaps_match_a_hand_calculation(by_hand):
    table = by_hand()
    assert len(table) == 4
    # one row per expression; the last column is "nothing chosen"
    assert table.box_iou.tolist() == [[1, 0, 0.5, 0], [1, 0, 0.5, 0], [0, 1, 0, 0], [0.5, 0.5, 0.25, 0]]
    assert table.intersections.tolist() == [[100, 0, 50, 0]] * 2 + [[0, 100, 0, 0], [100, 100, 50, 0]]
    assert table.unions.tolist() == [[100, 200, 100, 100]] * 2 + [[200, 100, 150, 100], [200] * 4]
    assert table.valid.tolist() == [[True, True, True, False]] * 4
    assert table.referent_categories == ("person", "person", "dog", "person")
    person, dog = [True, True, False, False], [False, False, True, False]
    assert table.same_category.tolist() == [person, person, dog, person]


def test_annotated_objects_overrule_the_detectors_categories(by_hand):
    objects = {"i1": (np.array([[0, 0, 10, 10], [10, 0, 20, 10]], dtype=float), ["person", "dog"])}
    table = by_hand(objects)
    # the detector calls the second candidate, on the dog, a person; the third passes no object (IoU exactly 0.5)
    person, dog = [True, False, False, False], [False, True, True, False]
    assert table.same_category.tolist() == [person, person, dog, person]


def test_annotated_objects_of_other_images_change_nothing(by_hand):
    objects = {"i2": (np.array([[0, 0, 10, 10]], dtype=float), ["cat"]), "i1": (np.zeros((0, 4)), [])}
    assert by_hand(objects).same_category.tolist() == by_hand().same_category.tolist()


def test_category_names_match_in_any_spelling(make_store, make):
    store = make_store([make.candidates("i", [FULL], ["person"])])
    split = make.split([Expression("e", "r", "i", "him")])
    assert Overlaps.of(store, split, {"r": make.truth(FULL, "Person")}).same_category[0, 0]


def test_images_with_fewer_candidates_are_padded(make_store, make):
    store = make_store([make.candidates("two", [FULL, (0, 0, 5, 5)], ["dog", "cat"]), make.candidates("none", [], [])])
    expressions = [Expression("e1", "r1", "none", "dog"), Expression("e2", "r2", "two", "cat")]
    truth = {"r1": make.truth((0, 0, 4, 5), "dog"), "r2": make.truth(FULL, "dog")}
    table = Overlaps.of(store, make.split(expressions), truth)
    assert table.valid.tolist() == [[False, False, False], [True, True, False]]
    assert table.box_iou[0].tolist() == [0, 0, 0]
    assert table.intersections[0].tolist() == [0, 0, 0]
    assert table.unions.tolist() == [[20, 20, 20], [200, 200, 200]]


def test_rows_keep_the_order_of_the_expressions_when_images_alternate(make_store, make):
    store = make_store([make.candidates(name, [box], ["dog"]) for name, box in (("a", FULL), ("b", (0, 0, 10, 10)))])
    order = ["a", "b", "a", "b", "b"]
    expressions = [Expression(f"e{i}", f"r{name}", name, "dog") for i, name in enumerate(order)]
    truth = {"ra": make.truth(FULL, "dog"), "rb": make.truth(FULL, "dog")}
    table = Overlaps.of(store, make.split(expressions), truth)
    assert table.box_iou[:, 0].tolist() == [1, 0.5, 1, 0.5, 0.5]


def test_truth_without_mask_is_nan_and_its_box_still_counts(make_store, make):
    store = make_store([make.candidates("i", [FULL], ["dog"])])
    truth = {"r": make.truth(FULL, None, mask=False)}
    table = Overlaps.of(store, make.split([Expression("e", "r", "i", "dog")]), truth)
    assert np.isnan(table.intersections).all() and np.isnan(table.unions).all()
    assert table.box_iou[0, 0] == 1
    assert not table.same_category.any()


def test_a_split_without_expressions_is_an_error(make_store, make):
    with pytest.raises(DataError, match=r"split 'val' of toy .*no expressions"):
        Overlaps.of(make_store([]), make.split([]), {})


def test_referent_without_truth_is_named(make_store, make):
    store = make_store([make.candidates("i", [FULL], ["dog"])])
    with pytest.raises(DataError, match=r"referent 'r9' \(expression 'e9', image 'i'\) has no truth"):
        Overlaps.of(store, make.split([Expression("e9", "r9", "i", "dog")]), {"r1": make.truth(FULL, "dog")})


def test_mask_of_another_size_than_the_image_is_an_error(make_store, make):
    store = make_store([make.candidates("i", [FULL], ["dog"])])
    truth = make.truth(FULL, "dog")
    truth.mask["size"] = [20, 10]
    with pytest.raises(DataError, match=r"image 'i', referent 'r': .* for 10 x 20 pixels, but .* has 20 x 10, .*EXIF"):
        Overlaps.of(store, make.split([Expression("e", "r", "i", "dog")]), {"r": truth})


def test_an_image_missing_from_the_store_is_named(make_store, make):
    store = make_store([make.candidates("i", [FULL], ["dog"])])
    with pytest.raises(StoreError, match="image 'j' is not in the store"):
        Overlaps.of(store, make.split([Expression("e", "r", "j", "dog")]), {"r": make.truth(FULL, "dog")})


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((10, 20), "for 10 x 20 pixels, but the photo has 20 x 10, .*EXIF"),
        ((40, 20), "for 40 x 20 .* 20 x 10, .*resized"),
    ],
)
@pytest.mark.parametrize("mask", [True, False])
def test_annotations_for_another_size_than_the_stores_are_an_error_with_or_without_masks(
    make_store, make, size, message, mask
):
    store = make_store([make.candidates("i", [FULL], ["dog"])])
    truth = replace(make.truth(FULL, "dog", mask=mask), size=size)
    with pytest.raises(DataError, match=rf"image 'i', referent 'r': .*{message}"):
        Overlaps.of(store, make.split([Expression("e", "r", "i", "dog")]), {"r": truth})
    fitting = replace(truth, size=(20, 10))
    assert len(Overlaps.of(store, make.split([Expression("e", "r", "i", "dog")]), {"r": fitting})) == 1


def test_unmeasurable_expressions_are_left_out_with_a_warning_about_sizes(make_store, make, caplog):
    store = make_store([make.candidates(name, [FULL], ["dog"]) for name in ("a", "b", "c")])
    expressions = [Expression(f"e{name}{k}", f"r{name}", name, "dog") for name in ("a", "b", "c") for k in range(2)]
    truth = {
        "ra": replace(make.truth(FULL, "dog"), size=(20, 10)),
        "rb": replace(make.truth(FULL, "dog"), size=(10, 20)),
    }
    with caplog.at_level(logging.WARNING, logger="aligncat.evaluation"):
        kept = measurable(make.split(expressions), truth, store).expressions
    assert [expression.id for expression in kept] == ["ea0", "ea1"]
    [warning] = caplog.messages
    assert "left out 1 images" in warning and "image 'b'" in warning
