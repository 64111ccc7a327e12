"""Style of all figures, and layout of arbitrary user text in them."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import matplotlib
import matplotlib.style
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from aligncat.files.atomic import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

DPI = 150
INK, FAINT, PAPER = "#222222", "#666666", "#e9e9e9"
ALWAYS_DARK, ALWAYS_LIGHT = "#212121", "#fefefe"
"""Text on a coloured ground and halos on a picture, which look the same in dark mode."""
# What readers whose system prefers dark colours see instead, in the colours of the page (page/style.css).
_IN_DARK_MODE = {INK: "#e8e6e3", FAINT: "#a7abb2", PAPER: "#3a3f46", "#ffffff": "#1f2226"}
_SIZE = 9.0  # points
# matplotlib ships DejaVu. Of the others, the installed ones supply characters that it lacks.
_FAMILIES = (
    *("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "Noto Sans SC"),
    *("WenQuanYi Zen Hei", "Microsoft YaHei", "MS Gothic", "Malgun Gothic", "PingFang SC", "Hiragino Sans GB"),
    *("Noto Sans Devanagari", "Noto Sans Thai", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Emoji", "Symbola"),
)
_LABEL = 190.0  # points
_MISSING = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS = "…"
_JOINTS = "-_/+"
_Entry = TypeVar("_Entry")


@contextmanager
def house_style() -> Iterator[None]:
    """Apply matplotlib's defaults and our style instead of the user's settings, which are restored on exit."""
    ours: dict[str, Any] = {
        "axes.axisbelow": True,
        "axes.edgecolor": FAINT,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.labelcolor": INK,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": _SIZE,
        "axes.titleweight": "bold",
        "font.family": list(_families()),
        "font.size": _SIZE,
        "grid.color": PAPER,
        "legend.frameon": False,
        "savefig.dpi": DPI,
        "svg.hashsalt": "aligncat",
        "text.color": INK,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
    }
    with matplotlib.style.context(ours, after_reset=True):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure to an SVG file, atomically. The same figure gives the same bytes.

    It follows the reader's dark mode: matplotlib writes every colour into a style attribute, so a style sheet replaces
    ours. Programs that know no dark mode show the light colours.

    Raises:
        OSError: the file cannot be written.
    """
    content = io.BytesIO()
    with house_style():
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    drawing, end, rest = content.getvalue().rpartition(b"</svg>")
    write_atomic(path, drawing + _dark_mode().encode() + end + rest)


def _dark_mode() -> str:
    rules = [
        f'[style*="{use}: {light}"] {{ {use}: {dark} !important }}'
        for light, dark in _IN_DARK_MODE.items()
        for use in ("fill", "stroke")
    ]
    return "<style>@media (prefers-color-scheme: dark) {\n" + "\n".join(rules) + "\n}</style>\n"


def plain(text: str) -> str:
    """Return text as one line that matplotlib draws literally.

    Formulas are escaped, control characters become spaces, and characters that none of our installed fonts has become
    U+FFFD.
    """
    line = " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text).split())
    shown = "".join(c if _advance(c) is not None else _MISSING for c in line if c.isprintable() or _advance(c))
    return shown.replace("$", r"\$")


def width_of(text: str, size: float = _SIZE) -> float:
    """Return the approximate width of a line of `plain` text in points, at a font size in points."""
    return size * sum(_advance(c) or 0 for c in text.replace(r"\$", "$"))


def wrap(text: str, width: float, *, size: float = _SIZE, lines: int = 3) -> list[str]:
    """Break any text into `plain` lines, between words or within a word that is longer than a line.

    Args:
        text: the text, as a user wrote it.
        width: width of a line, points.
        size: font size, points.
        lines: the largest number of lines; longer text is cut and ends in an ellipsis.
    """
    found: list[str] = []
    line = ""
    for word in plain(text).split(" "):
        rest = word
        if line and width_of(f"{line} {rest}", size) > width:
            found.append(line)
            line = ""
        while width_of(rest, size) > width and len(found) < lines:
            head = _head(rest, width, size)
            found.append(head)
            rest = rest[len(head) :]
        line = f"{line} {rest}" if line else rest
    if line:
        found.append(line)
    if len(found) > lines:
        found = [*found[: lines - 1], _head(found[lines - 1], width - width_of(_ELLIPSIS, size), size) + _ELLIPSIS]
    return found or [""]


def label(name: str, width: float = _LABEL) -> str:
    """Return a name for a legend, broken into at most two lines of a width in points."""
    return "\n".join(wrap(name, width, lines=2))


def across(entries: Sequence[_Entry], columns: int) -> list[_Entry]:
    """Reorder the entries of a legend to read along its rows, since matplotlib fills it column by column."""
    return [entry for column in range(columns) for entry in entries[column::columns]]


def _head(text: str, width: float, size: float) -> str:
    """Return the longest start of a text that fits, but at least one character.

    The text is cut after a joint such as a hyphen if that keeps more than half of what fits.
    """
    remaining = width / size
    count = 0
    while count < len(text):
        step = 2 if text.startswith(r"\$", count) else 1
        remaining -= _advance(text[count + step - 1]) or 0
        if remaining < 0 and count:
            break
        count += step
    else:
        return text
    joint = max(text.rfind(mark, 0, count) for mark in _JOINTS) + 1
    return text[: joint if joint > count / 2 else count]


@cache
def _families() -> tuple[str, ...]:
    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in _FAMILIES if name in installed)


@cache
def _fonts() -> tuple[FT2Font, ...]:
    return tuple(get_font(findfont(FontProperties(family=name))) for name in _families())


@lru_cache(maxsize=65536)
def _advance(character: str) -> float | None:
    """Return a character's advance width in units of the font size; None if no font has the character."""
    for font in _fonts():
        if font.get_char_index(ord(character)):
            font.set_size(_SIZE, 72)
            return float(font.load_char(ord(character)).linearHoriAdvance) / 65536 / _SIZE
    return None
