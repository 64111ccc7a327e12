"""Where numbers stand on the photo."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligncat.serving.page.plates import MOST, Plate, apart

SIZE = (100, 60)
SIDES = st.floats(1, 12)
PLATES = st.lists(st.builds(Plate, st.floats(-20, 120), st.floats(-20, 80), SIDES, SIDES), max_size=12)


def covered(one: Plate, other: Plate) -> float:
    """Return the area that two plates share."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(width, 0) * max(height, 0)


def test_a_plate_that_is_alone_stays() -> None:
    assert apart([Plate(3, 4, 6, 6), Plate(30, 4, 6, 6)], SIZE) == [Plate(3, 4, 6, 6), Plate(30, 4, 6, 6)]


def test_plates_of_one_corner_stand_in_a_row() -> None:
    assert [(each.x, each.y) for each in apart([Plate(3, 40, 6, 6)] * 3, SIZE)] == [(3, 40), (9, 40), (3, 34)]


def test_what_is_there_stays_free() -> None:
    [found] = apart([Plate(3, 4, 6, 6)], SIZE, [Plate(0, 0, 8, 8)])
    assert (found.x, found.y) == (9, 4)


@pytest.mark.parametrize("size", [(5, 60), (100, 3), (1, 1)])
def test_without_room_plates_stay_where_they_are_wanted(size: tuple[int, int]) -> None:
    assert apart([Plate(0, 0, 6, 6)] * 200, size)[-1][2:] == (6, 6)
    assert apart([Plate(0, 0, 6, 6)] * 2, (6, 6)) == [Plate(0, 0, 6, 6)] * 2


def test_after_very_many_plates_they_stay_where_they_are_wanted() -> None:
    found = apart([Plate(0, 0, 1, 1)] * (MOST + 1), SIZE)
    assert len({*found[:MOST]}) == MOST and found[MOST] == Plate(0, 0, 1, 1)


@given(PLATES, PLATES)
def test_no_plate_covers_another_or_leaves_the_photo(wanted: list[Plate], others: list[Plate]) -> None:
    """At most a sixth of the photo is covered, so that there is room somewhere on a grid of whole plates."""
    taken = apart(others[:2], SIZE)
    found = apart(wanted[:4], SIZE, taken)
    assert [each[2:] for each in found] == [each[2:] for each in wanted[:4]]
    for each in found:
        assert -1e-6 <= each.x <= SIZE[0] - each.width + 1e-6 and -1e-6 <= each.y <= SIZE[1] - each.height + 1e-6
    assert all(covered(*pair) < 1e-3 for pair in combinations([*taken, *found], 2))
