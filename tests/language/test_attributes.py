"""Which places in an order are read in phrases. tests/grounder/test_asked.py has the places, sizes and colours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aligncat.language.attributes import order_of

SIDES = ("left", "right", "top", "bottom")


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("second from left", ("left", 1)),
        ("2nd guy from the right", ("right", 1)),
        ("zebra third from the left", ("left", 2)),
        ("first man in a red top from left", ("left", 0)),
        ("1st car from right", ("right", 0)),
        ("fourth from top", ("top", 3)),
        ("leftmost dude", ("left", 0)),
        ("far right chair", ("right", 0)),
        ("bottommost shelf", ("bottom", 0)),
        ("second person from the far left", ("left", 1)),
        ("second on left", ("left", 1)),
        ("first one on the left", None),
        ("left most", ("left", 0)),
        ("furthest to the right", ("right", 0)),
        ("man all the way left", ("left", 0)),
        ("extreme left cup", ("left", 0)),
        ("first man far left", ("left", 0)),
        ("leftmost of the three dogs", ("left", 0)),
        ("2 from left", ("left", 1)),
        ("number 3 from the right", ("right", 2)),
        ("right side second person", ("right", 1)),
        ("last on right", ("right", 0)),
        ("tie at the second from the left", ("left", 1)),
        ("bowl of soup on far left", ("left", 0)),
        ("second slice of pizza from left", ("left", 1)),
        ("cat on the bed far left", ("left", 0)),
        ("kid far left wearing red", ("left", 0)),
        ("blue row boat second from right", ("right", 1)),
        ("leftmost man in a yellow polka dot top", ("left", 0)),
        # Counted among a part of the objects: those of a row, or at a place.
        ("second row from top third from left", None),
        ("far left in the back row", None),
        ("second donut from top left", None),
        ("far left giraffe in the front", None),
        ("the far right and the far left cushions", None),
        # Another object is counted.
        ("hat of the far left man", None),
        ("far left man's hat", None),
        ("cat on the leftmost bed", None),
        ("man in the far left chair", None),
        ("girl riding second horse from left", None),
        ("man with second surfboard from left", None),
        # No number to count to.
        ("0 from left", None),
        ("2 dogs from left", None),
        ("zebras 2 left", None),
        ("second to last on right", None),
        # Counted from the other end, or from no place that is clear.
        ("second to the last from left", None),
        ("3rd to last from the right", None),
        ("second vehicle on the far left", None),
        # These say where an object is. Another one may be there as well.
        ("left dog", None),
        ("dog on the left", None),
        ("top left cup", None),
        # No place of its own, or none of the given ones.
        ("guy looking far left", None),
        ("elephant left of far right one", None),
        ("person left of second from right", None),
        ("chair behind leftmost woman", None),
        ("bag next to second man from the right", None),
        ("dog left of the cat", None),
        ("second biggest dog", None),
        ("second dog", None),
        ("dog", None),
        ("", None),
    ],
)
def test_places_in_an_order(phrase: str, expected: tuple[str, int] | None) -> None:
    assert order_of(phrase, SIDES) == expected


WORDS = (
    *("left", "right", "top", "most", "far", "second", "2", "0", "last", "side", "from", "on", "the"),
    *("a", "of", "to", "in", "row", "man", "s", "biggest", "all", "way", "\u0665"),
)


@given(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join) | st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    found = order_of(text, SIDES)
    assert found is None or (found[0] in SIDES and 0 <= found[1] < 10)
