"""A real browser for the page. If ALIGNCAT_ARTEFACTS names a folder, screenshots are kept there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import pytest
from helpers.browser import Page
from helpers.fabricate_answers import paint, row, save

from aligncat.api.report import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZE = (1280, 900)  # px


def _missing(what: str) -> NoReturn:
    """Fail in CI, where the page must be tested in a browser; skip on other machines without one."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: the page cannot be tested")
    pytest.skip(f"{what}: install Chromium and its driver to test the page (apt-get install chromium chromium-driver)")


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None or find_spec("selenium") is None:
        _missing("no Chromium" if browser is None else "no chromedriver" if chromedriver is None else "no selenium")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--window-size={SIZE[0]},{SIZE[1]}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, Service(chromedriver))
    yield started
    started.quit()


@pytest.fixture
def page(driver: Any) -> Page:
    """The browser at its default size, in light colours."""
    return Page(driver).resize(*SIZE).prefer("light")


@pytest.fixture
def keep(driver: Any, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that saves a screenshot, in ALIGNCAT_ARTEFACTS or in a temporary folder."""

    def screenshot(name: str) -> Path:
        folder = Path(os.environ.get("ALIGNCAT_ARTEFACTS", tmp_path))
        folder.mkdir(parents=True, exist_ok=True)
        Page(driver).painted()
        (folder / f"{name}.png").write_bytes(driver.get_screenshot_as_png())
        return folder / f"{name}.png"

    return screenshot


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return paint(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def make_report(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes runs, given as rows, and makes their report."""

    def make(*runs: list[dict[str, Any]], **identity: Any) -> Path:
        folders = [
            save(tmp_path / f"run{number}", rows, **{"config": "AB"[number], **identity})
            for number, rows in enumerate(runs)
        ]
        return write_report(folders, out=tmp_path / "report", photos=Path("/"), figures=False)

    return make


@pytest.fixture(scope="session")
def two_runs(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs over four pictures, shared by tests that do not change it.

    A is right on 0, 1 and 3; B is right on 0 and 2.
    """
    folder = tmp_path_factory.mktemp("two")
    causes = {"A": ("right", "right", "wrong_object", "right", "no_candidate", "wrong_object")}
    causes["B"] = ("right", "wrong_category", "right", "wrong_object", "no_candidate", "wrong_object")
    texts = ("dog", "red dog", "the dog left of the cup", "a cup", "person", "red cup")
    kinds = ("category", "color", "place", "category", "category", "color")
    categories = ("dog", "dog", "dog", "cup", "person", "cup")
    runs = [
        save(
            folder / name,
            [
                row(number, pictures[number % 4], texts[number], cause, kind=kinds[number])
                | {"referent_category": categories[number], "score": 0.9 - number / 10, "size": 0.1 + number / 100}
                for number, cause in enumerate(causes[name])
            ],
            config=name,
        )
        for name in ("A", "B")
    ]
    return write_report(runs, out=folder / "report", photos=Path("/"), figures=False)
