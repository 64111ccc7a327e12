"""The page in a real browser: opened from disk, as a reader does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from browser import Page
from fabricate_answers import COLOURS, HEIGHT, LEFT, RIGHT, WIDTH, counts, row, save
from pycocotools import mask as coco_mask

from aligncat.commands.report import report
from aligncat.evaluation import CAUSES

LEFT_KEY, RIGHT_KEY, DOWN, ESCAPE, ENTER = "\ue012", "\ue014", "\ue015", "\ue00c", "\ue007"
TRUTH, CHOSEN = (0, 158, 115), (213, 94, 0)


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 6) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


def count(page: Page) -> str:
    return page.texts("#count")[0]


class TestOpening:
    def test_it_opens_from_disk_without_a_word_in_the_console(self, page: Page, two_runs: Path, keep: Any) -> None:
        page.open(two_runs)
        for part in ("results", "errors", "answers"):
            page.run(f"location.hash = '{part}'")
            page.wait(f"return !document.getElementById('{part}').hidden")
        assert keep("gallery").stat().st_size > 0
        page.view()
        assert keep("answer").stat().st_size > 0
        assert page.errors() == []

    def test_it_loads_from_its_own_folder_alone(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view()
        loaded = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        assert all(address.startswith(two_runs.parent.resolve().as_uri()) for address in loaded)
        page.run("fetch('https://example.org').catch(() => {})")
        page.wait("return true")
        assert any("Content Security Policy" in said for said in page.errors())

    def test_a_file_that_was_not_copied_along_is_named(
        self, page: Page, make_report: Any, pictures: list[Path]
    ) -> None:
        index = make_report([row(0, pictures[0])])
        (index.parent / "data" / "answers-0-0-0.js").unlink()
        page.open(index).click(".card")
        page.wait("return document.querySelector('.panels .notice') !== null")
        assert "data/answers-0-0-0.js is missing" in page.texts(".panels .notice")[0]

    @pytest.mark.parametrize("rest", [0, 30])
    def test_a_file_that_is_cut_off_is_named(
        self, page: Page, make_report: Any, pictures: list[Path], rest: int
    ) -> None:
        index = make_report([row(0, pictures[0])])
        file = index.parent / "data" / "answers-0-0-0.js"
        file.write_bytes(file.read_bytes()[:rest])
        page.open(index).click(".card")
        page.wait("return document.querySelector('.panels .notice') !== null")
        assert "data/answers-0-0-0.js is damaged" in page.texts(".panels .notice")[0]

    def test_an_address_with_a_part_opens_at_the_top_on_a_phone(self, page: Page, two_runs: Path) -> None:
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
    page.open(report([run], out=tmp_path / "report")).run("location.hash = 'figures'")
    page.wait("return [...document.querySelectorAll('#figures img')].filter((i) => i.complete).length > 2")
    widths = page.run("return [...document.querySelectorAll('#figures img')].map((i) => [i.naturalWidth, i.width])")
    assert all(0 < shown <= natural for natural, shown in widths), "none is stretched"
    files = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    links = page.run("return [...document.querySelectorAll('#figures a')].map((a) => a.getAttribute('href'))")
    assert {unquote(link.removeprefix("figures/")) for link in links} == files
    assert all(page.texts("#figures h3")) and all(page.texts("#figures figcaption"))
    assert page.errors() == []


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
    def test_a_filter_leaves_what_fits(
        self, page: Page, two_runs: Path, name: str, words: str, found: list[str]
    ) -> None:
        page.open(two_runs).choose("order", "as in the data").choose(name, words)
        assert page.texts(".card .text") == found
        assert count(page) == f"{len(found)} of 6 expressions"

    def test_words_are_looked_for_in_the_expression(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("document.querySelector('[name=words]').focus()")
        page.press("RED")
        assert sorted(page.texts(".card .text")) == ["red cup", "red dog"]

    def test_with_one_run_right_and_wrong_are_that_runs(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).choose("answer", "right")
        assert page.texts(".card .text") == ["dog", "red dog", "a cup"]
        page.choose("answer", "wrong")
        assert page.texts(".card .text") == ["the dog left of the cup", "person", "red cup"]

    def test_the_last_run_stays(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).click(".run input", 0)
        assert page.run("return [...document.querySelectorAll('.run input')].map((i) => i.checked)") == [True, False]

    def test_the_counts_of_a_run_filter_by_cause(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run button[data-cause=wrong_category]")
        assert page.texts(".card .text") == ["red dog"]
        page.click(".run button[data-cause=wrong_category]")
        assert count(page) == "6 expressions"

    def test_they_are_of_that_run_alone_and_bring_it_in(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).choose("order", "as in the data")
        page.click(".run:nth-child(2) button[data-cause=wrong_object]")  # of B, where A has others
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

    def test_an_empty_selection_says_so_and_can_be_left(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).choose("category", "cup").choose("cause", "no candidate")
        assert (count(page), page.texts(".card")) == ("0 of 6 expressions", [])
        page.click("#gallery .notice button")
        assert count(page) == "6 expressions" and len(page.texts(".card")) == 6

    def test_a_category_that_no_expression_has_is_offered_with_its_none(
        self, page: Page, pictures: list[Path], tmp_path: Path
    ) -> None:
        save(tmp_path / "run", [row(0, pictures[0])])
        save(tmp_path / "run", [row(1, pictures[1], referent_category="zebra")], split="testA")
        page.open(report([tmp_path / "run"], out=tmp_path / "report", figures=False))
        page.choose("split", "toy val").choose("category", "zebra (0)")
        assert count(page) == "0 of 1 expressions"
        page.choose("split", "toy testA").wait("return document.querySelectorAll('.card').length === 1")


class TestSideBySide:
    def test_changed_answers_come_first_then_those_that_both_miss(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs)
        changed = ["red dog", "the dog left of the cup", "a cup"]
        assert page.texts(".card .text") == [*changed, "person", "red cup", "dog"]

    def test_an_image_does_not_come_several_times_in_a_row(
        self, page: Page, make_report: Any, pictures: list[Path]
    ) -> None:
        places = (0, 0, 0, 1, 1, 2)  # pictures of six expressions that have all changed
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
        page.open(report(runs, out=tmp_path / "report", figures=False))
        assert page.texts(".card .name") == ["A, seed 0", "B, seed 0"]

    def test_a_card_shows_each_runs_own_choice(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs)
        verdicts = page.run(
            "return [...document.querySelector('.card').querySelectorAll('.answer')]"
            ".map((a) => [a.querySelector('.name').textContent, a.querySelector('.verdict').dataset.cause,"
            " Number(a.querySelector('.chosen rect').getAttribute('x'))])"
        )
        assert verdicts == [["A", "right", LEFT[0]], ["B", "wrong_category", RIGHT[0]]]

    def test_an_expression_that_one_run_does_not_answer_says_so(
        self, page: Page, make_report: Any, pictures: list[Path]
    ) -> None:
        page.open(make_report([row(0, pictures[0]), row(1, pictures[1])], [row(0, pictures[0])]))
        page.choose("order", "as in the data")
        assert page.texts(".card .verdict") == ["✓ right", "✓ right", "✓ right", "no answer"]
        page.view(1)
        assert "This run has no answer" in page.texts(".panel")[1]
        assert page.errors() == []


class TestBigView:
    def test_it_shows_the_pictures_own_colour_and_the_boxes_where_they_are(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).choose("order", "as in the data")
        page.click(".card", 2)  # A is wrong: the truth on the left, the choice on the right
        page.wait("return document.querySelectorAll('#viewer[open] .panel dl').length > 0").click("[name=masks]")
        page.wait("return document.querySelector('.panel .mask') === null")
        picture = ".panel .picture"
        for x, y in ((0.03, 0.05), (0.25, 0.5), (0.75, 0.5), (0.97, 0.95)):
            assert near(page.colours(picture, x, y)[0], COLOURS[2]), (x, y)
        left, top, right, bottom = RIGHT
        for x, y in ((48, top), (48, bottom), (left, 24), (right, 24)):
            line = page.colours(picture, x / WIDTH, y / HEIGHT, reach=3)
            assert any(near(colour, CHOSEN, 20) for colour in line), (x, y)
        dashes = page.colours(picture, 16 / WIDTH, LEFT[1] / HEIGHT, reach=10)
        assert any(near(colour, TRUTH, 20) for colour in dashes)
        assert not any(near(colour, CHOSEN, 20) for colour in dashes)

    def test_masks_are_outlined_and_leave_the_colours_of_the_picture(
        self, page: Page, make_report: Any, pictures: list[Path]
    ) -> None:
        truth, chosen = (12, 14, 20, 34), (42, 16, 56, 30)  # each inside its box
        wrong = row(0, pictures[2], cause="wrong_object", truth_mask=counts(truth), chosen_mask=counts(chosen))
        page.open(make_report([wrong])).view()
        for (left, top, right, bottom), colour in ((truth, TRUTH), (chosen, CHOSEN)):
            across, down = (left + right) / 2, (top + bottom) / 2
            for x, y in ((left, down), (right, down), (across, top), (across, bottom)):
                line = page.colours(".panel .picture", x / WIDTH, y / HEIGHT, reach=2)
                assert any(near(found, colour, 20) for found in line), (x, y)
            assert page.colours(".panel .picture", across / WIDTH, down / HEIGHT)[0] == COLOURS[2]

    def test_it_says_what_was_answered_and_why(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view()
        said = " ".join(page.texts("#viewer")[0].split())
        for words in ("1 of 6", "red dog", "kind color", "needed color", "score", "0.800", "category read", "mask IoU"):
            assert words in said
        assert "an object of another category was chosen" in said
        assert page.texts(".panel .word")[:2] == ["red0.25", "dog0.50"]

    def test_candidates_come_with_scores_and_boxes_when_asked_for(
        self, page: Page, make_report: Any, pictures: list[Path]
    ) -> None:
        page.open(make_report([row(0, pictures[0], fine_scores=[2, 1.5, 1])])).view().click("[name=candidates]")
        page.wait("return document.querySelector('.panels table') !== null")
        cells = page.cells(".panels tbody tr")
        assert cells[0] == ["1", "dog", "yes", "1.00", "0.750", "1", "0.500", "100.500", "2.000", "0.900"]
        assert cells[2] == ["3", "person", "no", "0.17", "0.000", "0", "-0.125", "\u2013", "1.000", "0.100"]
        roles = "return [...document.querySelectorAll('.panel .kept, .panel .dropped')].map((e) => e.classList[1])"
        assert sorted(page.run(roles)) == ["dropped", "kept", "kept"]

    def test_without_a_second_stage_no_candidate_is_kept_for_it(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view().click("[name=candidates]")
        page.wait("return document.querySelectorAll('.panels table').length === 2")
        assert page.cells(".panels tbody tr")[0] == ["1", "dog", "1.00", "0.750", "1", "0.500", "100.500", "0.900"]
        assert page.run("return document.querySelectorAll('.panel .dropped').length") == 0

    def test_keys_lead_from_card_to_card_and_through_the_view(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("document.querySelector('.card').focus()")
        page.press(RIGHT_KEY, ENTER).wait("return document.querySelector('#viewer').open")
        assert page.texts("#viewer-text") == ["the dog left of the cup"]
        page.press(RIGHT_KEY, RIGHT_KEY, LEFT_KEY)
        assert page.texts("#viewer-text") == ["a cup"]
        page.press(ESCAPE).wait("return !document.querySelector('#viewer').open")
        page.wait("return document.activeElement.className === 'card'")
        assert page.run("return document.activeElement.querySelector('.text').textContent") == "a cup"
        assert page.errors() == []

    def test_the_last_is_the_last(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view(5).press(RIGHT_KEY)
        assert page.texts("#viewer .place") == ["6 of 6"]
        assert page.run("return document.querySelector('[name=next]').disabled")


class TestTables:
    def test_results_say_all_that_a_result_must(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("location.hash = 'results'")
        page.wait("return document.querySelector('#results table') !== null")
        headings = [heading.strip() for heading in page.texts("#results th")]
        line = dict(zip(headings, page.cells("#results tbody tr")[0], strict=True))
        assert (line["Split"], line["Config"], line["Expressions"], line["REC"]) == ("val", "A", "6", "50.0")
        [shared] = page.texts("#results .caption span")
        assert shared == (
            "Dataset: toy · Split by: none · Detector: mini · Detector's training: has not seen the images · Seeds: 0"
        )

    def test_a_table_sorts_by_the_heading_that_is_pressed(self, page: Page, two_runs: Path) -> None:
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


ODD = {
    "html": "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>",
    "script end": "</script><script>document.title='run'</script><!--",
    "separators": "line\u2028and\u2029paragraph",
    "long": "x" * 300,
    "hebrew": "הכלב האדום משמאל",
    "arabic": "الكلب الأحمر",
    "cjk": "左边的红色的狗と右の猫",
    "emoji": "the 🐕‍🦺 left of 👩🏽‍🚀",
}


@pytest.fixture(scope="module")
def odd(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    html = ODD["html"]
    rows = [row(number, pictures[0], text) for number, text in enumerate(ODD.values())]
    rows[0] |= {"kind": html, "referent_category": "__proto__", "predicted_category": html, "needed": [html]}
    return report(
        [save(folder / "run", rows, config="run <b>", detector=html, dataset="toy<i>")],
        out=folder / "report",
        figures=False,
    )


class TestOddText:
    def test_it_shows_as_it_was_written_and_never_runs(self, page: Page, odd: Path) -> None:
        page.open(odd)
        assert page.texts(".card .text") == list(ODD.values())
        for place in range(len(ODD)):
            page.view(place).click("[name=candidates]").press(ESCAPE)
            page.wait("return !document.querySelector('#viewer').open")
        page.run("location.hash = 'errors'")
        page.wait("return document.querySelector('#errors table') !== null")
        assert page.run("return document.title") == "toy<i> · aligncat report"
        assert (
            page.run(
                "return document.querySelectorAll('main b:not(.counts b), main i, main script, #viewer script').length"
            )
            == 0
        )
        assert any("__proto__" in cell for cell in page.texts("#errors td"))
        assert page.errors() == []

    def test_each_is_read_in_its_direction(self, page: Page, odd: Path) -> None:
        page.open(odd)
        directions = page.run(
            "return [...document.querySelectorAll('.card .text')].map((e) => getComputedStyle(e).direction)"
        )
        assert dict(zip(ODD, directions, strict=True)) == {
            name: "rtl" if name in ("hebrew", "arabic") else "ltr" for name in ODD
        }

    @pytest.mark.parametrize("width", [1280, 375])
    def test_three_hundred_letters_stay_in_their_place(self, page: Page, odd: Path, width: int, keep: Any) -> None:
        page.resize(width, 800).open(odd)
        keep(f"odd-{width}")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        page.view(3)
        keep(f"odd-view-{width}")
        assert page.run("const v = document.querySelector('#viewer'); return v.scrollWidth <= v.clientWidth")


class TestPicturesThatAreGone:
    def test_the_page_says_so_in_place_of_the_picture(self, page: Page, make_report: Any, tmp_path: Path) -> None:
        gone = tmp_path / "gone.png"
        page.open(make_report([row(0, gone)]))
        assert page.texts(".card .gone") == ["The picture is not there: gone.png"]
        assert page.run("return document.querySelectorAll('.card .truth rect').length") > 0, "the boxes are still drawn"
        assert page.errors() == []

    def test_a_copy_that_is_missing_is_named(self, page: Page, make_report: Any, pictures: list[Path]) -> None:
        index = make_report([row(0, pictures[0])])
        (index.parent / "images" / "00000.jpg").unlink()
        page.open(index).wait("return document.querySelector('.card .gone') !== null")
        assert "images/00000.jpg is missing" in page.texts(".card .gone")[0]


CUT = (
    "return [...document.querySelectorAll('.scroll')].filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth)"
    ".map((e) => e.ariaLabel)"
)


@pytest.fixture(scope="module")
def full(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs with names, every cause and every score."""
    folder = tmp_path_factory.mktemp("full")
    runs = [
        save(
            folder / config,
            [row(number, pictures[0], cause=cause, fine_scores=[2, 1.5, 1]) for number, cause in enumerate(CAUSES)],
            config=config,
        )
        for config in ("querymatch", "global+class", "aligncat")
    ]
    return report(runs, out=folder / "report", figures=False)


class TestReaders:
    def test_every_control_has_a_name(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view()
        nameless = page.run(
            "return [...document.querySelectorAll('button, select, input, a')].filter((e) =>"
            " !(e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML)"
        )
        assert nameless == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_words_stand_out_in_light_and_dark(self, page: Page, two_runs: Path, scheme: str, keep: Any) -> None:
        page.prefer(scheme).open(two_runs)
        keep(f"gallery-{scheme}")
        ground = luminance(page.run("return getComputedStyle(document.querySelector('.card')).backgroundColor"))
        assert (ground > 0.5) == (scheme == "light")
        causes = page.run("return report.index.causes.map(({ name }) => name)")
        for cause in ("right", *causes, "none"):
            colour = page.run(
                "const e = document.querySelector('.card .verdict'); e.dataset.cause = arguments[0];"
                "return getComputedStyle(e).color",
                cause,
            )
            lighter, darker = sorted((ground, luminance(colour)), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, f"{cause}: {colour} on {scheme} (WCAG 2.2, 1.4.3)"

    def test_tables_and_filters_fit_a_small_screen(self, page: Page, full: Path, keep: Any) -> None:
        page.open(full)
        places = page.run("return [...document.querySelectorAll('#filters > *')].map((e) => e.getBoundingClientRect())")
        assert len({round(place["bottom"]) for place in places if place["width"]}) == 1, "the filters are in one line"
        page.view().click("[name=candidates]").wait("return document.querySelector('.panels table') !== null")
        keep("candidates")
        assert page.run(CUT) == []
        page.press(ESCAPE).wait("return !document.querySelector('#viewer').open")
        for part in ("results", "errors"):
            page.run(f"location.hash = '{part}'")
            page.wait(f"return document.querySelector('#{part} table') !== null")
            keep(f"full-{part}")
            assert page.run(CUT) == [], part

    def test_the_words_above_a_table_are_whole_on_a_phone(self, page: Page, two_runs: Path) -> None:
        page.resize(375, 740).open(two_runs).run("location.hash = 'results'")
        page.wait("return document.querySelector('#results table') !== null")
        right = page.run("return document.querySelector('#results .caption span').getBoundingClientRect().right")
        assert right <= 375

    def test_it_fits_a_phone(self, page: Page, two_runs: Path, keep: Any) -> None:
        page.resize(375, 740).open(two_runs)
        for part in ("results", "errors", "answers"):
            page.run(f"location.hash = '{part}'")
            page.wait(f"return !document.getElementById('{part}').hidden")
            assert page.run("return document.documentElement.scrollWidth <= innerWidth"), part
        keep("phone")


def luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = [float(value) / 255 for value in re.findall(r"[\d.]+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_masks_are_read_as_pycocotools_wrote_them(page: Page, two_runs: Path) -> None:
    page.open(two_runs)
    random = np.random.default_rng(0)
    for height, width, share in ((1, 1, 1), (7, 5, 0.5), (40, 90, 0.02), (300, 200, 0.0), (257, 129, 0.9)):
        mask = (random.random((height, width)) < share).astype(np.uint8)
        text = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
        found = page.run("return Array.from(report.decodeMask(...arguments)).join('')", text, width, height)
        assert found == "".join(map(str, mask.T.ravel()))
        edges = np.pad(mask.astype(int), 1)
        strokes = re.findall(
            r"M(\d+) (\d+)([hv])(\d+)", page.run("return report.maskOutline(...arguments)", text, width, height)
        )
        for way, axis in (("h", 0), ("v", 1)):
            expected = np.diff(edges, axis=axis)[:, 1:-1] if axis == 0 else np.diff(edges, axis=axis)[1:-1]
            drawn = np.zeros(expected.shape, int)
            for x, y, own, length in strokes:
                if own == way:
                    reach = (int(y), slice(int(x), int(x) + int(length)))
                    drawn[reach if way == "h" else (slice(int(y), int(y) + int(length)), int(x))] += 1
            assert (drawn == np.abs(expected)).all()
