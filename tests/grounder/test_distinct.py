"""Which candidates are one object, by hand."""

from __future__ import annotations

import numpy as np

from aligncat.grounder.distinct import one_of_each


def test_distinct_candidates_are_the_first_of_each_object_in_the_given_order() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [0, 0, 10, 4], [20, 1, 30, 10]], np.float32)
    assert one_of_each(boxes, range(5)) == [0, 2, 3]
    assert one_of_each(boxes, [1, 3, 4]) == [1, 3, 4]
    assert one_of_each(boxes, [4, 1, 0, 2]) == [4, 1]
    assert one_of_each(boxes, []) == []


def test_an_empty_box_is_an_object() -> None:
    assert one_of_each(np.zeros((2, 4), np.float32), [1, 0]) == [1, 0]
