"""Word weights of the phrase attention, as shaded words (the paper's Figure 3)."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, TypeAlias

from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from aligncat.report.figures.choosing import most_uneven, row_of
from aligncat.report.figures.grouping import NothingToDrawError
from aligncat.report.figures.style import ALWAYS_DARK, ALWAYS_LIGHT, FAINT, house_style, plain, width_of, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from aligncat.evaluation.answers import Answers

Line: TypeAlias = list[tuple[str, float]]
"""Words with their weights."""

_POINTS = 72  # an inch
_SHADES = colormaps["Blues"]
_WIDTH, _MARGIN, _INDENT = 500.0, 14.0, 130.0  # points
_WORD, _NUMBER = 9.0, 6.5  # points: font sizes
_PAD, _GAP = 4.0, 3.0  # points: inside and between words
_BOX, _STEP, _BETWEEN = 15.0, 26.0, 8.0  # points: height of a word, height of a line, space after a kind
_DARK = 0.55  # weight above which white text is easier to read than black


@house_style()
def word_weights_figure(answers: Answers, *, per_kind: int = 2) -> Figure:
    """Draw the right answers with the most uneven word weights (`choosing.most_uneven`), with words shaded by weight.

    Args:
        answers: answers of a config with phrase attention (Eq. 11).
        per_kind: the largest number of expressions of each kind.

    Raises:
        NothingToDrawError: there is no phrase attention, or no right answer to an expression of two or more words.
    """
    rows = most_uneven(answers, per_kind)
    if not rows:
        raise NothingToDrawError("no right answer has word weights to show")
    found = {row: row_of(answers, row) for own in rows.values() for row in own}
    kinds = {
        kind: [_lines(found[row]["words"], found[row]["word_weights"]) for row in own] for kind, own in rows.items()
    }
    labels = {kind: wrap(kind.replace("+", " + "), _INDENT - 10, size=_WORD, lines=2) for kind in kinds}
    heights = {kind: sum(map(len, own)) * _STEP + _BETWEEN for kind, own in kinds.items()}
    height = sum(heights.values()) + 2 * _MARGIN + 34
    figure = Figure(figsize=(_WIDTH / _POINTS, height / _POINTS))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, _WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    top = _MARGIN
    for kind, expressions in kinds.items():
        axes.text(_MARGIN, top + _BOX / 2, "\n".join(labels[kind]), va="center", fontsize=_WORD, color=FAINT)
        for line in (line for expression in expressions for line in expression):
            _draw_line(axes, line, top)
            top += _STEP
        top += _BETWEEN
    place = (_INDENT / _WIDTH, 1 - (top + 12) / height, 0.4, 7 / height)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), _SHADES), cax=figure.add_axes(place), orientation="horizontal"
    )
    bar.set_label("weight of the word (sums to 1 over the expression)", fontsize=_NUMBER + 1)
    bar.ax.tick_params(labelsize=_NUMBER)
    return figure


def _lines(words: list[str], weights: list[float]) -> list[Line]:
    """Break words into lines that fit; the lines of a right-to-left phrase are reversed, to be drawn from the left."""
    space = _WIDTH - _MARGIN - _INDENT
    lines: list[Line] = [[]]
    left = 0.0
    for word, weight in zip(words, weights, strict=True):
        [shown] = wrap(word, space - 2 * _PAD, size=_WORD, lines=1)
        width = _width(shown)
        if lines[-1] and left + width > space:
            lines.append([])
            left = 0.0
        lines[-1].append((shown, weight))
        left += width + _GAP
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for word in words for letter in word):
        return [line[::-1] for line in lines]
    return lines


def _width(shown: str) -> float:
    return max(width_of(shown, _WORD), width_of("0.00", _NUMBER)) + 2 * _PAD


def _draw_line(axes: Axes, line: Line, top: float) -> None:
    left = _INDENT
    for shown, weight in line:
        width = _width(shown)
        patch = Rectangle((left, top), width, _BOX, facecolor=_SHADES(weight), edgecolor="none", gid="word")
        axes.add_patch(patch)
        color = ALWAYS_LIGHT if weight > _DARK else ALWAYS_DARK
        axes.text(
            left + width / 2, top + _BOX / 2, shown, ha="center", va="center_baseline", fontsize=_WORD, color=color
        )
        number = plain(f"{weight:.2f}")
        axes.text(left + width / 2, top + _BOX + 1, number, ha="center", va="top", fontsize=_NUMBER, color=FAINT)
        left += width + _GAP
