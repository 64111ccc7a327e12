from __future__ import annotations

from pathlib import Path

import pytest
from helpers.report_figures import MakeAnswers

from aligncat.report.figures.grouping import NothingToDrawError
from aligncat.report.figures.training_curves import TITLES, read_curves, training_figure

HEADER = "epoch,step,train/total,val/rec\n"


def write_log(grounder: Path, version: int | str, text: str) -> None:
    file = grounder / "run" / "csv" / f"version_{version}" / "metrics.csv"
    file.parent.mkdir(parents=True)
    file.write_text(text)


def test_logs_of_a_resumed_run_are_joined_and_the_latest_counts(tmp_path: Path) -> None:
    write_log(tmp_path, 0, HEADER + "0,5,,0.5\n0,5,3.0,\n1,11,,0.25\n")
    write_log(tmp_path, 10, HEADER + "1,11,,0.75\n1,11,2.0,\n")
    write_log(tmp_path, 9, HEADER + "1,11,,0.7\n")

    assert read_curves(tmp_path) == {"val/rec": {1: 0.5, 2: 0.75}, "train/total": {1: 3.0, 2: 2.0}}


def test_damaged_lines_are_skipped(tmp_path: Path) -> None:
    write_log(tmp_path, 0, HEADER + "0,5,nan,0.5\n0,5,x,\n,,1.0,\n1,11,3.0,0.5,9\n2,17,2.\n")
    write_log(tmp_path, "old", "\0\0\0" + "x" * 200_000)

    assert read_curves(tmp_path) == {"val/rec": {1: 0.5}}


def test_a_line_for_each_grounder_and_a_panel_for_each_metric(make_answers: MakeAnswers, tmp_path: Path) -> None:
    write_log(tmp_path / "a", 0, HEADER + "0,5,,0.5\n0,5,3.0,\n1,11,,0.75\n")
    write_log(tmp_path / "b", 0, HEADER + "0,5,,0.25\n")
    folders = [str(tmp_path / name) for name in ("a", "a", "b", "gone")]
    runs = [make_answers([{}], {"grounder": folder}, config=folder[-1]) for folder in folders]

    figure = training_figure([*runs, make_answers([{}], config="from elsewhere")])

    recall, loss = figure.axes
    assert recall.get_title(loc="left") == TITLES["val/rec"]
    drawn = [line for line in recall.get_lines() if len(line.get_xdata())]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in drawn] == [
        ([1, 2], [50, 75]),
        ([1], [25]),
    ]
    assert [list(line.get_ydata()) for line in loss.get_lines()] == [[3.0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]


def test_grounders_without_logs_give_nothing_to_draw(make_answers: MakeAnswers, tmp_path: Path) -> None:
    with pytest.raises(NothingToDrawError):
        training_figure([make_answers([{}], {"grounder": str(tmp_path)}), make_answers([{}])])
