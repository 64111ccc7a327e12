from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.report_figures import MakeAnswers

from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.answers import Answers
from aligncat.report.figures.draw import draw_all


@contextmanager
def no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # matplotlib warns of missing glyphs and of layouts that do not fit
        yield


def two_runs(make: MakeAnswers) -> list[Answers]:
    rows = [{}, {"right": False}, {"same_category": 1}, {"kind": "size"}]
    other = [{}, {}, {"right": False, "same_category": 1}, {"kind": "size"}]
    return [make(rows), make(other, config="../$Query$<b>Match")]


def test_every_figure_the_runs_allow_is_drawn_and_can_be_opened(make_answers: MakeAnswers, tmp_path: Path) -> None:
    with no_warning():
        files = draw_all(two_runs(make_answers), tmp_path / "new" / "figures")

    assert [file.path.name for file in files] == [
        "staircase-mojiref-val.svg",
        "distractors-mojiref-val.svg",
        "calibration-mojiref-val.svg",
        "comparison-mojiref-val.svg",
        "words-AlignCAT-mojiref-val.svg",
        "failures-AlignCAT-mojiref-val.svg",
        "words-..-Query-b-Match-mojiref-val.svg",
        "failures-..-Query-b-Match-mojiref-val.svg",
    ]
    assert all(file.path.parent == tmp_path / "new" / "figures" for file in files)
    for file in files:
        assert file.title
        assert file.caption
        assert ElementTree.parse(file.path).getroot().tag.endswith("svg")


def test_the_same_answers_give_the_same_bytes(make_answers: MakeAnswers, tmp_path: Path) -> None:
    once, again = (draw_all(two_runs(make_answers), tmp_path / name) for name in ("a", "b"))

    assert [f.path.read_bytes() for f in once] == [f.path.read_bytes() for f in again]


def test_splits_have_their_own_figures_under_unique_names(make_answers: MakeAnswers, tmp_path: Path) -> None:
    runs = [make_answers([{"words": []}], split=split) for split in ("val", "test/A", "test A")]

    files = draw_all(runs, tmp_path)

    assert [file.path.stem for file in files if "staircase" in file.path.stem] == [
        "staircase-mojiref-val",
        "staircase-mojiref-test-A",
        "staircase-mojiref-test-A-2",
    ]
    assert len({file.path for file in files}) == len(files)


def test_strange_phrases_are_drawn_without_a_warning(make_answers: MakeAnswers, tmp_path: Path) -> None:
    phrases = ["$x$ and $", "x" * 300, "紅い猫", "👍🏽 thumb", "כלב אדום", "<script>alert(1)</script>", "a\nb\0c"]
    rows = [{"text": text, "words": text.split(), "word_weights": [1 / len(text.split())] * len(text.split())}
            for text in phrases]  # fmt: skip
    wrong = [{**row, "right": number == 0} for number, row in enumerate(rows)]

    with no_warning():
        files = draw_all([make_answers(rows), make_answers(wrong, config="紅" * 200)], tmp_path, examples=7)

    assert len(files) == 7
    assert not any(b"<script" in file.path.read_bytes() for file in files)


def test_runs_without_answers_are_an_error(make_answers: MakeAnswers, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no run has an answer"):
        draw_all([make_answers([])], tmp_path)
    with pytest.raises(DataError, match="no run has an answer"):
        draw_all([], tmp_path)


def test_examples_below_one_are_an_error(make_answers: MakeAnswers, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        draw_all(two_runs(make_answers), tmp_path, examples=0)


def test_importing_the_package_loads_no_matplotlib_and_drawing_no_pyplot() -> None:
    code = """
import sys
import aligncat.report.figures
assert "matplotlib" not in sys.modules
import aligncat.report.figures.sheet, aligncat.report.figures.style
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_extra_is_named(
    make_answers: MakeAnswers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(ConfigError, match=r"aligncat\[report\]"):
        draw_all(two_runs(make_answers), tmp_path)
