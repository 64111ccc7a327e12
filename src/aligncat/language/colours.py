"""The colours that phrases name."""

from __future__ import annotations

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
"""The names of colours."""

COLOUR_OF = {
    **{name: name for name in COLOURS},
    **{"grey": "gray", "silver": "gray", "gold": "yellow", "golden": "yellow", "tan": "brown"},
    **{"violet": "purple", "navy": "blue", "maroon": "red"},
}
"""The words for colours, each with the name of its colour."""
