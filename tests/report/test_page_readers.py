"""The page with odd text, on small screens, in dark colours, and for assistive technology."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers.browser import Page
from helpers.fabricate_answers import row, save

from aligncat.api.report import write_report
from aligncat.evaluation.causes import CAUSES

ESCAPE = "\ue00c"
ODD = {
    "html": "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>",
    "script end": "</script><script>document.title='run'</script><!--",
    "control characters": "a\x1b[31m\x07\x9b2J\0\x7f\u202eturned\u2066 [/x] :smile:",
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
    return write_report(
        [save(folder / "run", rows, config="run <b>", detector=html, dataset="toy<i>")],
        out=folder / "report",
        photos=Path("/"),
        figures=False,
    )


class TestOddText:
    def test_it_is_shown_literally_and_never_runs(self, page: Page, odd: Path) -> None:
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

    def test_each_text_runs_in_its_own_direction(self, page: Page, odd: Path) -> None:
        page.open(odd)
        directions = page.run(
            "return [...document.querySelectorAll('.card .text')].map((e) => getComputedStyle(e).direction)"
        )
        assert dict(zip(ODD, directions, strict=True)) == {
            name: "rtl" if name in ("hebrew", "arabic") else "ltr" for name in ODD
        }

    @pytest.mark.parametrize("width", [1280, 375])
    def test_a_word_of_300_letters_does_not_widen_the_page(self, page: Page, odd: Path, width: int, keep: Any) -> None:
        page.resize(width, 800).open(odd)
        keep(f"odd-{width}")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        page.view(3)
        keep(f"odd-view-{width}")
        assert page.run("const v = document.querySelector('#viewer'); return v.scrollWidth <= v.clientWidth")


CUT = (
    "return [...document.querySelectorAll('.scroll')].filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth)"
    ".map((e) => e.ariaLabel)"
)


@pytest.fixture(scope="module")
def full(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs with every cause and every score."""
    folder = tmp_path_factory.mktemp("full")
    runs = [
        save(
            folder / config,
            [row(number, pictures[0], cause=cause, fine_scores=[2, 1.5, 1]) for number, cause in enumerate(CAUSES)],
            config=config,
        )
        for config in ("querymatch", "global+class", "aligncat")
    ]
    return write_report(runs, out=folder / "report", photos=Path("/"), figures=False)


class TestReaders:
    def test_every_control_has_a_name(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view()
        nameless = page.run(
            "return [...document.querySelectorAll('button, select, input, a')].filter((e) =>"
            " !(e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map((e) => e.outerHTML)"
        )
        assert nameless == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_labels_have_enough_contrast_in_light_and_dark(
        self, page: Page, two_runs: Path, scheme: str, keep: Any
    ) -> None:
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
        assert len({round(place["bottom"]) for place in places if place["width"]}) == 1, (
            "the filters are not in one line"
        )
        page.view().click("[name=candidates]").wait("return document.querySelector('.candidates table') !== null")
        keep("candidates")
        assert page.run(CUT) == []
        page.press(ESCAPE).wait("return !document.querySelector('#viewer').open")
        for part in ("results", "errors"):
            page.run(f"location.hash = '{part}'")
            page.wait(f"return document.querySelector('#{part} table') !== null")
            keep(f"full-{part}")
            assert page.run(CUT) == [], part

    def test_the_caption_of_a_table_fits_a_phone(self, page: Page, two_runs: Path) -> None:
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
