"""Layout of figures of examples: rows of pictures with truth, choice and text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from aligncat.errors import ImageError
from aligncat.files.images import read_image
from aligncat.geometry import decode_mask
from aligncat.report.figures.grouping import CHOICE, TRUTH
from aligncat.report.figures.style import ALWAYS_LIGHT, FAINT, INK, PAPER, wrap
from aligncat.report.images import is_inside
from aligncat.types import RLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

_POINTS = 72  # an inch
_MARGIN, _GAP = 12.0, 10.0  # points
_SMALL, _LINE = 8.0, 11.0  # points: font and line height
_BOLD = 1.15  # width of bold text relative to normal text, at most
_TALLEST = 1.25  # height of a panel relative to its width, at most
_NAME = 110.0  # points; width of a missing file's name
_LARGEST = 900  # px; longer side of a picture in a panel
_KEY = (("truth", TRUTH, "solid"), ("chosen box, mask in outline", CHOICE, (0, (3, 1.5))))


@dataclass(frozen=True, slots=True)
class Card:
    """One answer to draw.

    Attributes:
        title: text above the picture.
        note: text below the picture.
        answer: a row of `Answers.table`, by column, and what it names (`choosing.row_of`).
    """

    title: str
    note: str
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Section:
    """Cards under one heading, which may be empty."""

    heading: str
    cards: Sequence[Card]


def sheet(sections: Sequence[Section], columns: int, panel: float, photos: Path | None) -> Figure:
    """Draw sections one below the other, with the cards of each in rows.

    Args:
        sections: the sections, with at least one card each.
        columns: cards per row.
        panel: width of a picture, points.
        photos: only pictures in this folder are drawn; None for all.
    """
    width = 2 * _MARGIN + columns * panel + (columns - 1) * _GAP
    rows = [row for section in sections for row in _rows(section, columns)]
    tops = np.cumsum([_MARGIN + _LINE + _GAP, *(_height(row, panel, width) for row in rows)])
    page = _Page(width, float(tops[-1]) + _MARGIN - _GAP)
    page.key()
    for row, top in zip(rows, tops[:-1], strict=True):
        _draw_row(page, row, float(top), panel, photos)
    return page.figure


class _Page:
    """A figure with coordinates in points from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / _POINTS, height / _POINTS))

    def write(self, left: float, top: float, lines: Sequence[str], *, bold: bool = False, color: str = INK) -> float:
        """Write lines one below the other and return the position below the last."""
        for line in lines:
            self.figure.text(
                left / self.width,
                1 - top / self.height,
                line,
                va="top",
                fontsize=_SMALL,
                fontweight="bold" if bold else "normal",
                color=color,
            )
            top += _LINE
        return top

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes without ticks or frame."""
        place = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.figure.add_axes(place)
        axes.set_axis_off()
        return axes

    def key(self) -> None:
        """Draw the key of the colours in the top line."""
        axes = self.axes(0, _MARGIN, self.width, _LINE)
        axes.set(xlim=(0, self.width), ylim=(_LINE, 0))
        left = _MARGIN
        for name, color, line in _KEY:
            axes.plot([left, left + 22], [_LINE / 2] * 2, color=color, linestyle=line, linewidth=2)
            self.write(left + 27, _MARGIN, [name])
            left += 75


def _rows(section: Section, columns: int) -> list[Section]:
    """Split a section into sections of one row each; the first keeps the heading."""
    starts = range(0, len(section.cards), columns)
    return [Section("" if start else section.heading, section.cards[start : start + columns]) for start in starts]


def _height(row: Section, panel: float, width: float) -> float:
    titles, notes = _texts(row, panel)
    heading = _heading(row, width)
    lines = len(heading) + max(map(len, titles)) + max(map(len, notes))
    return lines * _LINE + _picture_height(row, panel) + _GAP * 1.4


def _heading(row: Section, width: float) -> list[str]:
    return wrap(row.heading, width - 2 * _MARGIN, size=_SMALL * _BOLD) if row.heading else []


def _texts(row: Section, panel: float) -> tuple[list[list[str]], list[list[str]]]:
    titles = [wrap(card.title, panel, size=_SMALL * _BOLD, lines=2) for card in row.cards]
    return titles, [wrap(card.note, panel, size=_SMALL, lines=4) for card in row.cards]


def _picture_height(row: Section, panel: float) -> float:
    return max(_card_height(card, panel) for card in row.cards)


def _card_height(card: Card, panel: float) -> float:
    return panel * min(float(card.answer["height"] / card.answer["width"]), _TALLEST)


def _draw_row(page: _Page, row: Section, top: float, panel: float, photos: Path | None) -> None:
    top = page.write(_MARGIN, top, _heading(row, page.width), bold=True)
    titles, notes = _texts(row, panel)
    top_of_picture = top + max(map(len, titles)) * _LINE
    for place, card in enumerate(row.cards):
        left = _MARGIN + place * (panel + _GAP)
        height = _card_height(card, panel)
        page.write(left, top, titles[place], bold=not row.heading)
        draw_answer(page.axes(left, top_of_picture, panel, height), card.answer, photos)
        page.write(left, top_of_picture + height + 3, notes[place], color=FAINT)


def draw_answer(axes: Axes, answer: Mapping[str, Any], photos: Path | None) -> None:
    """Draw the picture with the truth's boxes, the boxes that are named and the outline of their masks.

    The axes' data units are pixels. A picture that is missing or cannot be read becomes a grey panel that says so, with
    the boxes in their places.

    Args:
        axes: the axes to draw in.
        answer: a row of `Answers.table`, by column, and what it names (`choosing.row_of`).
        photos: only a picture in this folder is drawn; None for any.
    """
    width, height, named = answer["width"], answer["height"], answer["named"]
    counts = answer["chosen_mask"] if named else None
    mask = None if counts is None else RLE(size=[height, width], counts=counts)
    path = Path(answer["image_path"])
    if photos is not None and not is_inside(path, photos):
        _draw_absence(axes, answer, "picture is left out")
    else:
        _draw_picture(axes, answer, path)
    if mask is not None:
        _draw_outline(axes, mask)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal", anchor="NW")
    for start in range(0, len(answer["truth_box"]), 4):
        _draw_box(axes, answer["truth_box"][start : start + 4], "truth")
    for place in named:
        _draw_box(axes, answer["boxes"][4 * place : 4 * place + 4], "choice")


def _draw_picture(axes: Axes, answer: Mapping[str, Any], path: Path) -> None:
    try:
        picture = read_image(path)
    except ImageError:
        _draw_absence(axes, answer, "picture cannot be read" if _is_file(path) else "picture is not on disk")
        return
    picture.thumbnail((_LARGEST, _LARGEST))
    axes.imshow(picture, extent=(0, answer["width"], answer["height"], 0))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that the disk does not allow
        return False


def _draw_outline(axes: Axes, mask: RLE) -> None:
    """Draw only the outline of a mask; a tint would change the colours that a phrase may mention."""
    shape = np.pad(decode_mask(mask), 1)  # closes the outline where the mask reaches the picture's edge
    if shape.any():
        height, width = shape.shape
        centres = np.arange(width) - 0.5, np.arange(height) - 0.5
        axes.contour(*centres, shape, levels=[0.5], colors=[CHOICE], linewidths=1)


def _draw_absence(axes: Axes, answer: Mapping[str, Any], reason: str) -> None:
    axes.add_patch(Rectangle((0, 0), answer["width"], answer["height"], facecolor=PAPER, edgecolor="none"))
    lines = [reason, *wrap(Path(answer["image_path"]).name, _NAME, size=_SMALL)]
    axes.text(0.5, 0.5, "\n".join(lines), transform=axes.transAxes, ha="center", va="center", fontsize=_SMALL)


def _draw_box(axes: Axes, box: Sequence[float], role: str) -> None:
    x1, y1, x2, y2 = box
    color, line = (TRUTH, "solid") if role == "truth" else (CHOICE, (0, (3, 1.5)))
    # Only the truth gets a halo: where both boxes coincide, the dashes of the choice then lie on the line of the truth.
    halo = [withStroke(linewidth=3.2, foreground=ALWAYS_LIGHT)] if role == "truth" else []
    patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linestyle=line, linewidth=1.8)
    patch.set(path_effects=halo, gid=role, clip_on=False)
    axes.add_patch(patch)
