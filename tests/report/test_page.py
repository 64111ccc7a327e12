"""The page in a real browser, opened from disk: opening it, filters, runs side by side, tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from helpers.browser import Page
from helpers.fabricate_answers import COLOURS, LEFT, RIGHT, row, save

from aligncat.api.report import write_report


def count(page: Page) -> str:
    return page.texts("#count")[0]


class TestOpening:
    def test_it_opens_from_disk_without_console_messages(self, page: Page, two_runs: Path, keep: Any) -> None:
        page.open(two_runs)
        for part in ("results", "errors", "answers"):
            page.run(f"location.hash = '{part}'")
            page.wait(f"return !document.getElementById('{part}').hidden")
        assert keep("gallery").stat().st_size > 0
        page.view()
        assert keep("answer").stat().st_size > 0
        assert page.errors() == []

    def test_it_loads_only_from_its_own_folder(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view()
        loaded = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert all(address.startswith(two_runs.parent.resolve().as_uri()) for address in loaded)
        page.run("fetch('https://example.org').catch(() => {})")
        page.wait("return true")
        assert any("Content Security Policy" in said for said in page.errors())

    def test_a_missing_data_file_is_named(self, page: Page, make_report: Any, pictures: list[Path]) -> None:
        index = make_report([row(0, pictures[0])])
        (index.parent / "data" / "answers-0-0-0.js").unlink()
        page.open(index).click(".card")
        page.wait("return document.querySelector('.panels .notice') !== null")
        assert "data/answers-0-0-0.js is missing" in page.texts(".panels .notice")[0]

    @pytest.mark.parametrize("rest", [0, 30])
    def test_a_truncated_data_file_is_named(
        self, page: Page, make_report: Any, pictures: list[Path], rest: int
    ) -> None:
        index = make_report([row(0, pictures[0])])
        file = index.parent / "data" / "answers-0-0-0.js"
        file.write_bytes(file.read_bytes()[:rest])
        page.open(index).click(".card")
        page.wait("return document.querySelector('.panels .notice') !== null")
        assert "data/answers-0-0-0.js is damaged" in page.texts(".panels .notice")[0]

    def test_a_link_to_a_part_opens_at_the_top_on_a_phone(self, page: Page, two_runs: Path) -> None:
        page.resize(375, 740)
        page.driver.get("about:blank")
        page.driver.get(f"{two_runs.resolve().as_uri()}#errors")
        page.wait("return document.body.dataset.ready !== undefined")
        page.painted()
        assert page.run("return scrollY") == 0
        assert page.run("return !document.getElementById('errors').hidden")


def test_figures_are_drawn_and_shown(page: Page, pictures: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="figures are drawn with matplotlib")
    run = save(tmp_path / "run", [row(0, pictures[0]), row(1, pictures[1], cause="wrong_object")])
    page.open(write_report([run], out=tmp_path / "report", photos=Path("/"))).run("location.hash = 'figures'")
    page.wait("return [...document.querySelectorAll('#figures img')].filter((i) => i.complete).length > 2")
    widths = page.run("return [...document.querySelectorAll('#figures img')].map((i) => [i.naturalWidth, i.width])")
    assert all(0 < shown <= natural for natural, shown in widths), "no figure is stretched"
    files = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    links = page.run("return [...document.querySelectorAll('#figures a')].map((a) => a.getAttribute('href'))")
    assert {unquote(link.removeprefix("figures/")) for link in links} == files
    assert all(page.texts("#figures h3")) and all(page.texts("#figures figcaption"))
    assert page.errors() == []


def test_figures_follow_dark_mode_and_pictures_in_them_do_not(
    page: Page, pictures: list[Path], tmp_path: Path, keep: Any
) -> None:
    pytest.importorskip("matplotlib", reason="figures are drawn with matplotlib")
    run = save(tmp_path / "run", [row(0, pictures[0]), row(1, pictures[1], cause="wrong_object")])
    page.open(write_report([run], out=tmp_path / "report", photos=Path("/"))).run("location.hash = 'figures'")
    page.wait("return [...document.querySelectorAll('#figures img')].filter((i) => i.complete).length > 2")
    links = page.run("return [...document.querySelectorAll('#figures a')].map((a) => a.getAttribute('href'))")
    inks = {"light": (34, 34, 34), "dark": (232, 230, 227)}
    for scheme, ground in (("light", (255, 255, 255)), ("dark", (31, 34, 38))):
        page.prefer(scheme)
        for place, link in enumerate(links):
            name = link.removeprefix("figures/")
            page.run("document.querySelectorAll('#figures img')[arguments[0]].id = 'one'", place)
            pixels = np.asarray(page.shot("#one")).astype(int)
            keep(f"figure-{scheme}-{name}")
            page.run("document.querySelector('#one').removeAttribute('id')")

            def count_of(colour: tuple[int, ...], within: int, pixels: Any = pixels) -> int:
                return int((np.abs(pixels - colour).max(axis=2) <= within).sum())

            assert np.abs(pixels[2:4, 2:4] - ground).max() <= 3, (scheme, name)
            assert count_of(inks[scheme], 24) > 20, (scheme, name, "no text")
            if name.startswith("failures"):
                assert count_of(COLOURS[1], 3) > 500, "the picture does not keep its colour"


def test_on_a_phone_the_error_tables_come_before_the_legend(page: Page, two_runs: Path, keep: Any) -> None:
    tops = (
        "return ['#errors .table', '#errors .causes'].map((s) => document.querySelector(s).getBoundingClientRect().top)"
    )
    for width, tables_first in ((400, True), (1280, False)):
        page.resize(width, 800).open(two_runs).run("location.hash = 'errors'")
        page.wait("return document.querySelector('#errors table') !== null")
        keep(f"errors-{width}")
        table, legend = page.run(tops)
        assert (table < legend) is tables_first
        assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


class TestFilters:
    @pytest.mark.parametrize(
        ("name", "words", "found"),
        [
            ("kind", "category", ["dog", "a cup", "person"]),
            ("category", "cup", ["a cup", "red cup"]),
            ("cause", "wrong category", ["red dog"]),
            ("cause", "no candidate", ["person"]),
            ("answer", "right in every", ["dog"]),
            ("answer", "wrong in every", ["person", "red cup"]),
            ("answer", "changed", ["red dog", "the dog left of the cup", "a cup"]),
            ("answer", "right only in A", ["red dog", "a cup"]),
            ("answer", "right only in B", ["the dog left of the cup"]),
        ],
    )
    def test_a_filter_leaves_the_matching_expressions(
        self, page: Page, two_runs: Path, name: str, words: str, found: list[str]
    ) -> None:
        page.open(two_runs).choose("order", "as in the data").choose(name, words)
        assert page.texts(".card .text") == found
        assert count(page) == f"{len(found)} of 6 expressions"

    def test_words_are_searched_in_the_expression(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("document.querySelector('[name=words]').focus()")
        page.press("RED")
        assert sorted(page.texts(".card .text")) == ["red cup", "red dog"]

    def test_with_one_run_right_and_wrong_refer_to_that_run(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).choose("answer", "right")
        assert page.texts(".card .text") == ["dog", "red dog", "a cup"]
        page.choose("answer", "wrong")
        assert page.texts(".card .text") == ["the dog left of the cup", "person", "red cup"]

    def test_the_last_shown_run_cannot_be_hidden(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).click(".run input", 0)
        assert page.run("return [...document.querySelectorAll('.run input')].map((i) => i.checked)") == [True, False]

    def test_the_counts_of_a_run_filter_by_cause(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run button[data-cause=wrong_category]")
        assert page.texts(".card .text") == ["red dog"]
        page.click(".run button[data-cause=wrong_category]")
        assert count(page) == "6 expressions"

    def test_a_count_filters_only_its_own_run_and_shows_that_run(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).choose("order", "as in the data")
        page.click(".run:nth-child(2) button[data-cause=wrong_object]")  # B has other wrong objects than A
        assert page.texts(".card .text") == ["a cup", "red cup"]
        assert count(page) == "2 of 6 expressions · wrong object in B"
        assert page.run("return [...document.querySelectorAll('.run input')].map((i) => i.checked)") == [True, True]
        pressed = (
            "return [...document.querySelectorAll('.run')].map((r) => r.querySelectorAll('[aria-pressed=true]').length)"
        )
        assert page.run(pressed) == [0, 1]
        page.click(".run:nth-child(1) button[data-cause=wrong_object]")
        assert page.texts(".card .text") == ["the dog left of the cup", "red cup"]
        assert page.run(pressed) == [1, 0]
        page.choose("cause", "wrong object")
        assert page.texts(".card .text") == ["the dog left of the cup", "a cup", "red cup"]
        assert page.run(pressed) == [0, 0]

    def test_an_empty_selection_says_so_and_can_be_cleared(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).choose("category", "cup").choose("cause", "no candidate")
        assert (count(page), page.texts(".card")) == ("0 of 6 expressions", [])
        page.click("#gallery .notice button")
        assert count(page) == "6 expressions" and len(page.texts(".card")) == 6

    def test_a_category_missing_from_a_split_is_offered_with_count_0(
        self, page: Page, pictures: list[Path], tmp_path: Path
    ) -> None:
        save(tmp_path / "run", [row(0, pictures[0])])
        save(tmp_path / "run", [row(1, pictures[1], referent_category="zebra")], split="testA")
        page.open(write_report([tmp_path / "run"], out=tmp_path / "report", photos=Path("/"), figures=False))
        page.choose("split", "toy val").choose("category", "zebra (0)")
        assert count(page) == "0 of 1 expressions"
        page.choose("split", "toy testA").wait("return document.querySelectorAll('.card').length === 1")


class TestSideBySide:
    def test_changed_answers_come_first_then_those_both_runs_got_wrong(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs)
        changed = ["red dog", "the dog left of the cup", "a cup"]
        assert page.texts(".card .text") == [*changed, "person", "red cup", "dog"]

    def test_images_take_turns(self, page: Page, make_report: Any, pictures: list[Path]) -> None:
        places = (0, 0, 0, 1, 1, 2)  # pictures of six changed expressions
        right, wrong = (
            [row(number, pictures[place], f"n{number}", cause) for number, place in enumerate(places)]
            for cause in ("right", "wrong_object")
        )
        page.open(make_report(right, wrong))
        assert page.texts(".card .text") == ["n0", "n3", "n5", "n1", "n4", "n2"]

    def test_one_seed_of_each_config_is_shown_first(self, page: Page, pictures: list[Path], tmp_path: Path) -> None:
        runs = [
            save(tmp_path / f"{config}{seed}", [row(0, pictures[0])], config=config, seed=seed)
            for config in "AB"
            for seed in range(3)
        ]
        page.open(write_report(runs, out=tmp_path / "report", photos=Path("/"), figures=False))
        assert page.texts(".card .name") == ["A, seed 0", "B, seed 0"]

    def test_a_card_shows_each_runs_own_choice(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs)
        verdicts = page.run(
            "return [...document.querySelector('.card').querySelectorAll('.answer')]"
            ".map((a) => [a.querySelector('.name').textContent, a.querySelector('.verdict').dataset.cause,"
            " Number(a.querySelector('.chosen rect').getAttribute('x'))])"
        )
        assert verdicts == [["A", "right", LEFT[0]], ["B", "wrong_category", RIGHT[0]]]

    def test_an_expression_not_answered_by_a_run_says_so(
        self, page: Page, make_report: Any, pictures: list[Path]
    ) -> None:
        page.open(make_report([row(0, pictures[0]), row(1, pictures[1])], [row(0, pictures[0])]))
        page.choose("order", "as in the data")
        assert page.texts(".card .verdict") == ["✓ right", "✓ right", "✓ right", "no answer"]
        page.view(1)
        assert "This run has no answer" in page.texts(".panel")[1]
        assert page.errors() == []


class TestTables:
    def test_results_state_all_conditions(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("location.hash = 'results'")
        page.wait("return document.querySelector('#results table') !== null")
        headings = [heading.strip() for heading in page.texts("#results th")]
        line = dict(zip(headings, page.cells("#results tbody tr")[0], strict=True))
        assert (line["Split"], line["Config"], line["Expressions"], line["REC"]) == ("val", "A", "6", "50.0")
        [shared] = page.texts("#results .caption span")
        assert shared == (
            "Dataset: toy · Split by: none · Detector: mini · Detector's training: has not seen the images · "
            "Features: query · Seeds: 0"
        )

    def test_published_values_have_their_own_table(self, page: Page, make_report: Any, pictures: list[Path]) -> None:
        index = make_report([row(0, pictures[0])], dataset="refcoco", split="testA", split_by="unc")
        page.open(index).run("location.hash = 'results'")
        page.wait("return document.querySelectorAll('#results table').length === 2")
        assert [cells[1] for cells in page.cells("#results .table:nth-child(1) tbody tr")] == ["A"]
        published = {cells[1]: cells for cells in page.cells("#results .table:nth-child(2) tbody tr")}
        assert published["AlignCAT"][:4] == ["refcoco testA (unc)", "AlignCAT", "70.27", "62.75"]
        assert published["VC"][2:4] == ["32.68", "\u2013"]
        assert "none was measured here" in page.texts("#results .table:nth-child(2) .caption")[0]

    def test_a_table_sorts_by_the_pressed_heading(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("location.hash = 'results'")
        page.wait("return document.querySelector('#results table') !== null")
        place = [heading.strip() for heading in page.texts("#results th")].index("REC")
        column = f"#results td:nth-child({place + 1})"
        assert page.texts(column) == ["50.0", "33.3"]
        page.click("#results th button", place).click("#results th button", place)
        assert page.texts(column) == ["33.3", "50.0"]
        assert page.run(f"return document.querySelectorAll('#results th')[{place}].ariaSort") == "ascending"
        page.click("#results th button", 0)
        assert page.run(f"return document.querySelectorAll('#results th')[{place}].ariaSort") is None

    def test_the_causes_of_a_slice_add_up(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("location.hash = 'errors'")
        page.wait("return document.querySelectorAll('#errors table').length > 3")
        rows = page.run(
            "return [...document.querySelectorAll('#errors table')]"
            ".find((t) => t.ariaLabel.includes('kind')).rows.length"
        )
        assert rows == 1 + 3 * 2  # three kinds, two runs
        whole = page.cells("#errors tbody tr")
        assert whole[0] == ["all", "A", "6", "50.0%", "", "1", "0", "2"]
        assert whole[1] == ["all", "B", "6", "33.3%", "", "1", "1", "2"]


class TestMissingPictures:
    def test_the_page_names_a_missing_picture_in_its_place(self, page: Page, make_report: Any, tmp_path: Path) -> None:
        gone = tmp_path / "gone.png"
        page.open(make_report([row(0, gone)]))
        assert page.texts(".card .gone") == ["Missing picture: gone.png"]
        assert page.run("return document.querySelectorAll('.card .truth rect').length") > 0, "the boxes are still drawn"
        assert page.errors() == []

    def test_a_missing_copy_is_named(self, page: Page, make_report: Any, pictures: list[Path]) -> None:
        index = make_report([row(0, pictures[0])])
        (index.parent / "images" / "00000.jpg").unlink()
        page.open(index).wait("return document.querySelector('.card .gone') !== null")
        assert "images/00000.jpg is missing" in page.texts(".card .gone")[0]
