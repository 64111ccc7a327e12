"""Figures of examples, checked by their pixels and their artists."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.report_figures import LEFT, RIGHT, MakeAnswers, mask_of
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from aligncat.report.figures.comparison import COLUMNS, comparison_figure
from aligncat.report.figures.failures import failures_figure
from aligncat.report.figures.grouping import CHOICE, TRUTH, NothingToDrawError
from aligncat.report.figures.style import house_style
from aligncat.report.figures.word_weights import word_weights_figure

Place = tuple[float, float]


def pixels_of(figure: Figure) -> NDArray[np.int64]:
    content = io.BytesIO()
    with house_style():
        figure.savefig(content, format="png")
    return np.asarray(Image.open(content).convert("RGB")).astype(np.int64)


def has_color(figure: Figure, axes: Axes, place: Place, color: tuple[float, float, float]) -> bool:
    """Return whether the colour occurs within three pixels of a place of the picture."""
    pixels = pixels_of(figure)
    column, from_below = axes.transData.transform(place) * (figure_dpi(figure, pixels) / figure.dpi)
    row = len(pixels) - from_below
    near = pixels[int(row) - 3 : int(row) + 4, int(column) - 3 : int(column) + 4].reshape(-1, 3)
    return bool((np.abs(near - np.round(255 * np.array(color))) <= 12).all(axis=1).any())


def figure_dpi(figure: Figure, pixels: NDArray[np.int64]) -> float:
    return pixels.shape[1] / figure.get_figwidth()


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if any(patch.get_gid() == "truth" for patch in axes.patches)]


def texts(figure: Figure) -> str:
    own = [text.get_text() for text in figure.texts]
    return "\n".join([*own, *(text.get_text() for axes in figure.axes for text in axes.texts)])


def box_of(axes: Axes, role: str) -> list[float]:
    [patch] = [patch for patch in axes.patches if patch.get_gid() == role]
    assert isinstance(patch, Rectangle)
    (x1, y1), width, height = patch.get_xy(), patch.get_width(), patch.get_height()
    return [x1, y1, x1 + width, y1 + height]


@pytest.fixture
def pair(make_answers: MakeAnswers) -> Any:
    return make_answers([{}, {}]), make_answers([{}, {"right": False}], config="QueryMatch")


def test_comparison_draws_truth_and_choice_of_each_run(pair: Any) -> None:
    figure = comparison_figure(pair)

    first, second = panels(figure)
    assert [box_of(axes, "truth") for axes in (first, second)] == [list(LEFT)] * 2
    assert box_of(first, "choice") == list(LEFT)
    assert box_of(second, "choice") == list(RIGHT)
    assert "AlignCAT" in texts(figure)
    assert "QueryMatch" in texts(figure)
    assert "red thing 1" in texts(figure)
    assert "red thing 0" not in texts(figure)


def test_truth_and_choice_have_their_colours_on_their_edges(pair: Any) -> None:
    figure = comparison_figure(pair)
    _, second = panels(figure)
    x1, y1, x2, y2 = LEFT

    for place in (x1, 15), (x2, 15), (10, y1), (10, y2):
        assert has_color(figure, second, place, TRUTH)
    assert has_color(figure, second, (RIGHT[0], RIGHT[1]), CHOICE)
    assert not has_color(figure, second, (22, 35), TRUTH)
    assert not has_color(figure, second, (22, 35), CHOICE)


def test_the_chosen_mask_is_outlined_without_changing_the_picture(make_answers: MakeAnswers) -> None:
    shape = (33.0, 13.0, 39.0, 19.0)  # inside the chosen box
    rows = [{"right": False, "chosen_mask": mask_of(shape)}]

    answers = make_answers(rows)
    figure = failures_figure(answers)

    [axes] = panels(figure)
    for place in (33, 16), (39, 16), (36, 13), (36, 19):
        assert has_color(figure, axes, place, CHOICE), place
    pixels = np.asarray(axes.images[0].get_array())[..., :3]
    with Image.open(answers.table["image_path"][0].as_py()) as before:
        np.testing.assert_array_equal(pixels, np.asarray(before.convert("RGB")))


def test_a_missing_picture_is_a_grey_panel_that_says_so(make_answers: MakeAnswers, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no picture")
    gone = str(tmp_path / ("very-long-name" * 20 + "$x$.png"))
    rows = [{"image_path": gone, "right": False}, {"image_path": str(damaged), "right": False}]
    rows[1]["cause"] = "poor_mask"

    figure = failures_figure(make_answers(rows))

    assert "picture is not on disk" in texts(figure)
    assert "picture cannot be read" in texts(figure)
    assert "damaged.png" in texts(figure)
    first, _ = panels(figure)
    grey = (233 / 255,) * 3
    assert has_color(figure, first, (22, 35), grey)
    assert has_color(figure, first, (LEFT[0], 15), TRUTH)


def test_a_large_picture_is_drawn_in_its_own_coordinates(make_answers: MakeAnswers, tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000), "white").save(tmp_path / "large.png")
    row = {"image_path": str(tmp_path / "large.png"), "width": 3000, "height": 2000, "chosen_mask": None}
    row |= {"truth_box": [300, 200, 1500, 1000], "right": False}

    figure = failures_figure(make_answers([row]))

    [axes] = panels(figure)
    assert max(axes.images[0].get_array().shape) <= 900
    assert list(axes.images[0].get_extent()) == [0, 3000, 2000, 0]
    assert has_color(figure, axes, (300, 600), TRUTH)


def test_an_answer_without_a_candidate_has_no_chosen_box(make_answers: MakeAnswers) -> None:
    empty = {name: [] for name in ("boxes", "ious", "kept", "categories", "confidences", "probabilities")}
    row = {**empty, "choice": -1, "right": False, "chosen_mask": None, "score": 0.0, "cause": "no_candidate"}

    figure = failures_figure(make_answers([row]))

    [axes] = panels(figure)
    assert [patch.get_gid() for patch in axes.patches] == ["truth"]
    assert "no candidate" in texts(figure)


def test_failures_have_one_panel_per_cause_with_its_count(make_answers: MakeAnswers) -> None:
    rows = [{"right": False}, {"right": False}, {"right": False, "cause": "poor_mask"}, {}]

    figure = failures_figure(make_answers(rows))

    assert len(panels(figure)) == 2
    assert re.search(r"poor mask: 1 of 3\s+failures \(33\.3%\)", texts(figure))
    assert re.search(r"wrong object: 2 of 3\s+failures \(66\.7%\)", texts(figure))


def test_without_wrong_answers_there_are_no_failures(make_answers: MakeAnswers) -> None:
    with pytest.raises(NothingToDrawError):
        failures_figure(make_answers([{}]))


def test_a_comparison_needs_two_runs_that_differ(make_answers: MakeAnswers) -> None:
    with pytest.raises(NothingToDrawError, match="two runs"):
        comparison_figure([make_answers([{}])])
    with pytest.raises(NothingToDrawError, match="nothing to compare"):
        comparison_figure([make_answers([{}]), make_answers([{}], config="QueryMatch")])


def test_seeds_are_compared_only_where_there_is_one_config(make_answers: MakeAnswers) -> None:
    seeds = [make_answers([{"right": seed == 0}], seed=seed) for seed in range(2)]
    configs = [make_answers([{"right": False}], config=f"config {number}") for number in range(COLUMNS + 2)]

    assert len(panels(comparison_figure(seeds))) == 2
    assert len(panels(comparison_figure([*seeds, *configs]))) == COLUMNS


def test_words_are_shaded_by_weight(make_answers: MakeAnswers) -> None:
    figure = word_weights_figure(
        make_answers([{"words": ["small", "red", "cup"], "word_weights": [0.1, 0.7, 0.2], "kind": "color+size"}])
    )

    words = [patch for patch in figure.axes[0].patches if patch.get_gid() == "word"]
    darkness = [1 - sum(patch.get_facecolor()[:3]) / 3 for patch in words]
    assert darkness[1] > darkness[2] > darkness[0]
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == ["color + size", "small", "0.10", "red", "0.70", "cup", "0.20"]


def test_words_stay_on_the_sheet_without_overlapping(make_answers: MakeAnswers) -> None:
    words = ["$x$", "x" * 300, "猫", "כלב", "👍🏽", *["word"] * 40]

    figure = word_weights_figure(make_answers([{"words": words, "word_weights": [1 / len(words)] * len(words)}]))

    axes = figure.axes[0]
    boxes = [(*patch.get_xy(), patch.get_width()) for patch in axes.patches if patch.get_gid() == "word"]
    assert len(boxes) == len(words)
    assert max(left + width for left, _, width in boxes) <= axes.get_xlim()[1]
    assert max(top for _, top, _ in boxes) < axes.get_ylim()[0] - 30
    for (left, top, width), (after, below, _) in pairwise(boxes):
        assert below > top or after > left + width


def test_right_to_left_words_start_at_the_right(make_answers: MakeAnswers) -> None:
    figure = word_weights_figure(make_answers([{"words": ["כלב", "אדום"], "word_weights": [0.9, 0.1]}]))

    numbers = [text for text in figure.axes[0].texts if text.get_text() in ("0.90", "0.10")]
    assert [text.get_text() for text in sorted(numbers, key=lambda text: text.get_position()[0])] == ["0.10", "0.90"]


def test_a_config_without_phrase_attention_has_no_words(make_answers: MakeAnswers) -> None:
    with pytest.raises(NothingToDrawError):
        word_weights_figure(make_answers([{"words": [], "word_weights": []}]))
