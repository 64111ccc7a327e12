"""Figures of numbers: their axes hold values counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.report_figures import MakeAnswers
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from aligncat.errors import DataError
from aligncat.report.figures.distractors import MOST, distractors_figure
from aligncat.report.figures.grouping import NothingToDrawError, by_config, by_split
from aligncat.report.figures.reliability import calibration_figure
from aligncat.report.figures.stairs import staircase_figure


def heights(axes: Axes) -> list[float]:
    return [round(bar.get_height(), 6) for bar in axes.patches]


def legend_texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def rights(*values: bool, **columns: Any) -> list[dict[str, Any]]:
    return [{"right": value, **columns} for value in values]


def test_the_staircase_has_one_bar_per_stage_and_run(make_answers: MakeAnswers) -> None:
    good = make_answers([*rights(True, True, True), {"right": False, "ious": [0.1, 0.2]}])
    poor = make_answers(
        [*rights(True, False, query_right=None), {"right": False, "kept": [False, True], "query_right": None}],
        config="QueryMatch",
    )

    [axes] = staircase_figure([good, poor]).axes

    third = round(100 / 3, 6)
    assert heights(axes) == [100, 75, 75, 75, 0, 100, round(200 / 3, 6), third]
    labels = [text.get_text() for text in axes.texts]
    assert labels == ["100.0", "75.0", "75.0", "75.0", "", "100.0", "66.7", "33.3"]


def test_the_staircase_of_a_single_stage_has_no_refined_set(make_answers: MakeAnswers) -> None:
    one = make_answers(rights(True, fine_scores=None), config="QueryMatch")

    [axes] = staircase_figure([make_answers(rights(True)), one]).axes
    assert [text.get_text() for text in axes.texts] == ["100.0"] * 6 + ["", "100.0"]
    [axes] = staircase_figure([one]).axes
    assert "no\nrefined set" in axes.texts[-1].get_text()


@pytest.mark.parametrize("draw", [staircase_figure, distractors_figure])
def test_the_legend_reads_along_its_rows(make_answers: MakeAnswers, draw: Any) -> None:
    figure = draw([make_answers(rights(True), config=config) for config in "ABCDE"])

    figure.draw_without_rendering()
    places = [text.get_window_extent() for text in figure.legends[0].get_texts()]
    rows = sorted(zip(places, legend_texts(figure), strict=True), key=lambda found: (-round(found[0].y0), found[0].x0))
    assert [name for _, name in rows] == list("ABCDE")


def test_the_staircase_says_that_the_queries_were_not_measured(make_answers: MakeAnswers) -> None:
    [axes] = staircase_figure([make_answers(rights(True, query_right=None))]).axes

    assert "not measured" in axes.texts[-1].get_text()


def test_accuracy_by_distractors_has_a_wilson_band(make_answers: MakeAnswers) -> None:
    run = make_answers(
        [
            *rights(True, True, True, False, same_category=0),
            *rights(True, False, same_category=2),
            *rights(False, same_category=MOST),
            *rights(True, same_category=MOST + 7),
            *rights(False, False, same_category=None),
        ]
    )

    [axes] = distractors_figure([run]).axes

    [line] = axes.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [0, 2, MOST])
    np.testing.assert_allclose(line.get_ydata(), [75, 50, 50])
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["0\nn = 4", "2\nn = 2", f"{MOST}+\nn = 2"]
    [band] = axes.collections
    edges = band.get_paths()[0].vertices[:, 1]
    for right, of in ((3, 4), (1, 2)):
        interval = binomtest(right, of).proportion_ci(method="wilson")
        assert np.isclose(edges, 100 * interval.low).any()
        assert np.isclose(edges, 100 * interval.high).any()


def test_the_seeds_of_a_config_give_one_line_and_count_expressions_once(make_answers: MakeAnswers) -> None:
    seeds = [make_answers(rights(True, True, seed == 1, False), seed=seed) for seed in (0, 1)]
    other = make_answers(rights(True, False, False, False), config="QueryMatch")

    figure = distractors_figure([*seeds, other])

    [axes] = figure.axes
    assert [line.get_ydata().tolist() for line in axes.get_lines()] == [[62.5], [25]]
    assert axes.get_xticklabels()[0].get_text() == "0\nn = 4"
    assert legend_texts(figure) == ["AlignCAT (mean of 2 seeds)", "QueryMatch"]


def test_seeds_on_different_expressions_have_no_mean(make_answers: MakeAnswers) -> None:
    with pytest.raises(DataError, match="AlignCAT"):
        distractors_figure([make_answers(rights(True)), make_answers(rights(True, True), seed=1)])


def test_unknown_distractors_give_nothing_to_draw(make_answers: MakeAnswers) -> None:
    with pytest.raises(NothingToDrawError):
        distractors_figure([make_answers(rights(True, same_category=None))])


def test_calibration_matches_a_hand_calculation(make_answers: MakeAnswers) -> None:
    rows = [*rights(True, True, True, False, score=0.85), *rights(False, score=0.25)]
    runs = [make_answers(rows), make_answers(rows[:4], seed=1)]

    figure = calibration_figure(runs)

    first, counts, second, _ = figure.axes
    # gaps: 0.10 for four answers and 0.25 for one, so (0.4 + 0.25) / 5; without the last answer 0.10
    assert first.get_title(loc="left") == "AlignCAT\nseed 0, ECE 13.0%"
    assert second.get_title(loc="left") == "AlignCAT\nseed 1, ECE 10.0%"
    [line] = [line for line in first.get_lines() if line.get_gid() == "accuracy"]
    np.testing.assert_allclose(line.get_xdata(), [25, 85], rtol=1e-6)
    np.testing.assert_allclose(line.get_ydata(), [0, 75])
    assert heights(counts) == [0, 0, 1, 0, 0, 0, 0, 0, 4, 0]


def test_every_run_has_two_panels_and_no_panel_is_empty(make_answers: MakeAnswers) -> None:
    runs = [make_answers(rights(True), seed=seed) for seed in range(5)]

    assert len(calibration_figure(runs).axes) == 10


@pytest.mark.parametrize("draw", [staircase_figure, calibration_figure, distractors_figure])
def test_no_run_gives_nothing_to_draw(draw: Any) -> None:
    with pytest.raises(NothingToDrawError):
        draw([])


def test_runs_are_grouped_by_config_detector_and_split(make_answers: MakeAnswers) -> None:
    runs = [
        make_answers([{}], seed=0),
        make_answers([{}], seed=1),
        make_answers([{}], detector="swin"),
        make_answers([{}], config="QueryMatch", split="testA", split_by="umd"),
        make_answers([], split="testB"),
    ]

    assert [(c.name, len(c.runs)) for c in by_config(runs)][:3] == [
        ("AlignCAT, mini", 3),
        ("AlignCAT, swin", 1),
        ("QueryMatch", 1),
    ]
    assert {name: len(own) for name, own in by_split(runs).items()} == {"mojiref val": 3, "mojiref testA (umd)": 1}


def test_configs_of_the_same_colour_differ_in_line_and_hatch(make_answers: MakeAnswers) -> None:
    configs = by_config([make_answers([{}], config=f"config {number}") for number in range(24)])

    assert len({(config.color, config.line) for config in configs}) == 24
    assert len({(config.color, config.hatch) for config in configs}) == 24
