"""The page of answers that name nothing or several objects, as it is drawn and filtered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import Page
from helpers.fabricate_answers import LEFT, RIGHT, answers, counts, row

from aligncat.api.report import write_report
from aligncat.evaluation.answer_sets import SetMetrics
from aligncat.evaluation.answers import Answers
from aligncat.report.figures.choosing import row_of
from aligncat.report.figures.draw import draw_all
from aligncat.report.terminal import result_lines, sets_table

SETS = SetMetrics(none=2, several=1, min_match=0.5, precision=3 / 5, n_acc=1 / 2, t_acc=2 / 3, giou=0.6, ciou=0.5)
NOTHING: dict[str, Any] = {"truth_box": [], "truth_mask": None, "size": 0.0, "same_category": None, "kind": "none"}


def made(pictures: list[Path]) -> Answers:
    """Five answers: nothing meant and refused, nothing meant and named, one, one refused, and two."""
    rows = [
        row(0, pictures[0], "a unicorn", **NOTHING, match=0.1, several=[False] * 3, box_iou=0.0),
        row(1, pictures[1], "a cat", "not_refused", **NOTHING, match=0.9, several=[False] * 3),
        row(2, pictures[2], "the dog", match=0.8, several=[False] * 3),
        row(3, pictures[3], "a dog", "refused", match=0.3, several=[False] * 3),
        row(
            *(4, pictures[0], "both dogs"),
            **{"match": 0.7, "several": [True, True, False], "truth_box": [*LEFT, *RIGHT], "kind": "several"},
            chosen_mask=counts((0, 0, LEFT[2], LEFT[3])),
        ),
    ]
    found = answers(rows)
    return replace(found, result=replace(found.result, metrics=replace(found.result.metrics, sets=SETS)))


@pytest.fixture(scope="module")
def run_file(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "AlignCAT-toy-val.parquet"
    made(pictures).save(path)
    return path


@pytest.fixture(scope="module")
def sets_page(run_file: Path) -> Path:
    return write_report(
        [run_file.parent],
        out=run_file.parent.parent / f"{run_file.parent.name}-report",
        photos=Path("/"),
        figures=False,
    )


def data(page: Path, name: str) -> Any:
    text = (page.parent / "data" / f"{name}.js").read_text()
    return json.loads(text.removeprefix(f'report.receive("{name}",').removesuffix(");\n"))


def test_the_data_has_every_box_that_is_meant_or_named(sets_page: Path) -> None:
    split = data(sets_page, "split-0")
    assert split["truth"] == [[], [], [*LEFT], [*LEFT], [*LEFT, *RIGHT]]
    [run] = split["answers"]
    assert run["box"] == [None, [*RIGHT], [*LEFT], None, [*LEFT, *RIGHT]]
    assert run["match"] == pytest.approx([0.1, 0.9, 0.8, 0.3, 0.7])
    details = data(sets_page, "answers-0-0-0")["rows"]
    assert [each["named"] for each in details] == [[], [1], [0], [], [0, 1]]
    assert [each["mask"] is None for each in details] == [True, False, False, True, False]
    index = data(sets_page, "index")
    assert index["splits"][0]["sets"] is True
    assert ["N-acc", 50, None] in index["results"][0]["metrics"]


def test_a_report_of_single_targets_has_no_new_columns(pictures: list[Path]) -> None:
    single = answers([row(0, pictures[0])]).result
    assert sets_table([single]) is None
    assert "N-acc" not in result_lines([single])[0][2]


def test_the_terminal_shows_grefcocos_metrics(pictures: list[Path]) -> None:
    [(_, expressions, metrics)] = result_lines([made(pictures).result])
    shown = {name: None if spread is None else round(100 * spread.mean, 1) for name, spread in metrics.items()}
    assert expressions == 5
    assert shown.items() >= {"F1 = 1": 60.0, "N-acc": 50.0, "T-acc": 66.7, "gIoU": 60.0, "cIoU": 50.0}.items()
    assert sets_table([made(pictures).result]) is not None


def test_figures_draw_any_number_of_boxes_and_the_matchs_calibration(pictures: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run = made(pictures)
    assert [row_of(run, place)["named"] for place in range(5)] == [[], [1], [0], [], [0, 1]]
    drawn = {figure.path.stem for figure in draw_all([run], tmp_path)}
    assert {"match-toy-val", "calibration-toy-val", "staircase-toy-val"} <= {name.replace(" ", "-") for name in drawn}
    without = replace(run, rows=run.table.slice(2, 1))
    assert not {
        name for name in (f.path.stem for f in draw_all([without], tmp_path / "one")) if name.startswith("match")
    }


class TestSetsPage:
    def test_boxes_and_filters(self, page: Page, sets_page: Path, keep: Any) -> None:
        page.open(sets_page)
        keep("sets")
        drawn = "return [...document.querySelectorAll('.card')].map((c) => c.querySelectorAll('.box.{role}').length)"
        assert page.run(drawn.format(role="truth")) == [0, 0, 1, 1, 2]
        assert page.run(drawn.format(role="chosen")) == [0, 1, 1, 0, 2]
        assert (
            page.run("return document.querySelector('.score').textContent")
            == "60.0% named exactly what is meant (F1 = 1)"
        )
        assert page.run("return !document.querySelector('[name=match]').parentElement.hidden")
        choose = (
            "const s = document.querySelector('[name=match]'); s.value = '{value}'; "
            "s.dispatchEvent(new Event('input', {{bubbles: true}}))"
        )
        for value, texts in (
            ("nothing", ["a unicorn", "a dog"]),
            ("0", ["a unicorn"]),
            ("0.25", ["a dog"]),
            ("0.5", ["both dogs"]),
            ("0.75", ["a cat", "the dog"]),
        ):
            page.run(choose.format(value=value))
            assert page.texts(".card .text") == texts, value

    def test_the_viewer_says_what_is_named(self, page: Page, sets_page: Path, keep: Any) -> None:
        page.open(sets_page).run("document.querySelectorAll('.card')[4].click()")
        page.wait("return document.querySelector('#viewer dd') !== null")
        keep("sets-viewer")
        facts = page.run("return document.querySelector('#viewer .panel .facts').textContent")
        assert "named2 of 2 meant" in facts and "match0.700" in facts
