from __future__ import annotations

import warnings
from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from aligncat.report.figures.style import house_style, label, plain, save, width_of, wrap

STRANGE = [
    "$x^2$ and $",
    "\\$ 5 \\alpha",
    "紅い猫",
    "a 🧑‍🚀 with a 👍🏽",
    "כלב אדום",
    "القط على اليسار",
    "tab\tnull\0line\nend\u2028",
    "a" * 300,
    "<b>not bold</b> & so on",
    "lone \ud83d surrogate",
    "\u202eturned round",
    "_hidden",
    "",
]


@pytest.mark.parametrize("text", STRANGE)
def test_any_text_is_drawn_without_a_warning(text: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with house_style():
            figure = Figure(figsize=(2, 1))
            axes = figure.add_subplot()
            [line] = axes.plot([0, 1])
            axes.set_title("\n".join(wrap(text, 100)))
            axes.legend([line], [label(text, 60)])
        save(figure, tmp_path / "it.svg")

    assert (tmp_path / "it.svg").stat().st_size > 500


def test_characters_without_a_font_are_marked_and_dollars_escaped() -> None:
    assert plain("1 $ 𒀀\n2") == "1 \\$ \N{REPLACEMENT CHARACTER} 2"


def test_wrapped_lines_fit_and_keep_all_text() -> None:
    text = "the small red cup that stands on the left of the big blue plate " + "x" * 60

    lines = wrap(text, 90, lines=20)

    assert max(map(width_of, lines)) <= 90
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(lines) > 4


def test_dollars_are_never_separated_from_their_escape() -> None:
    lines = wrap("$" * 40, 50, lines=20)

    assert "".join(lines) == "\\$" * 40
    assert all(line.count("\\$") * 2 == len(line) for line in lines)


def test_a_long_name_is_broken_at_its_hyphens() -> None:
    name = "global+class-mojiref-seed0"

    assert wrap(name, width_of("global+class-mojiref-se")) == ["global+class-mojiref-", "seed0"]


def test_text_that_is_too_long_ends_in_an_ellipsis() -> None:
    lines = wrap("word " * 100, 80, lines=2)

    assert len(lines) == 2
    assert lines[1].endswith("…")
    assert width_of(lines[1]) <= 80


def test_a_word_longer_than_the_space_is_cut() -> None:
    [line] = wrap("x" * 300, 60, lines=1)

    assert line.endswith("…")
    assert width_of(line) <= 60


def test_width_is_close_to_matplotlibs_measurement() -> None:
    path = TextPath((0, 0), "a fairly long line", size=9, prop=FontProperties(family=["DejaVu Sans"]))

    assert width_of("a fairly long line", 9) == pytest.approx(path.get_extents().width, rel=0.05)


def test_the_users_settings_are_ignored_and_restored() -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        with house_style():
            assert matplotlib.rcParams["axes.facecolor"] == "white"
            assert matplotlib.rcParams["font.size"] == 9
        assert matplotlib.rcParams["font.size"] == 30
        assert matplotlib.rcParams["axes.facecolor"] == "red"
