"""Which places in an order are read in phrases. tests/grounder/test_asked.py has the places, sizes and colours."""

from __future__ import annotations

import pytest

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
        ("leftmost of the three dogs", ("left", 0)),
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
