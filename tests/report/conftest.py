"""A real browser for the page. Screenshots are kept in the folder that ALIGNCAT_ARTEFACTS names, where it is set."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fabricate_answers import paint, row, save
from PIL import Image

from aligncat.commands.report import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZE, PHONE = (1280, 900), 500  # px; narrower is a phone


class Page:
    """A report that is open in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, index: Path) -> Page:
        self.driver.get_log("browser")
        self.driver.get(index.resolve().as_uri())
        return self.wait("return document.body.dataset.ready !== undefined")

    def run(self, script: str, *values: Any) -> Any:
        """The value that a piece of JavaScript returns."""
        return self.driver.execute_script(script, *values)

    def wait(self, condition: str) -> Page:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60, poll_frequency=0.02).until(lambda driver: driver.execute_script(condition))
        return self

    def resize(self, width: int, height: int) -> Page:
        """The window of a screen, or of a phone where it is narrow."""
        said = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", said)
        return self

    def prefer(self, scheme: str) -> Page:
        """What the reader's system prefers: light or dark."""
        wish = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wish]})
        return self

    def cells(self, rows: str) -> list[list[str]]:
        """The words of every cell of some rows."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((r) => [...r.cells].map((c) => c.textContent))",
            rows,
        )

    def texts(self, selector: str) -> list[str]:
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def click(self, selector: str, place: int = 0) -> Page:
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, place)
        return self

    def choose(self, name: str, words: str) -> Page:
        """Choose the option of a filter that begins with some words."""
        self.run(
            "const field = document.getElementById('filters').elements[arguments[0]];"
            "field.value = [...field.options].find((o) => o.textContent.startsWith(arguments[1])).value;"
            "field.dispatchEvent(new Event('input', { bubbles: true }))",
            name,
            words,
        )
        return self

    def press(self, *keys: str) -> Page:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()
        return self

    def view(self, place: int = 0) -> Page:
        """Open the big view of a card, and wait for its details."""
        self.click(".card", place)
        return self.wait("return document.querySelectorAll('#viewer[open] .panel dl').length > 0")

    def painted(self) -> Page:
        """Wait until what is to be seen has been read, decoded and painted."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "const near = [...document.images].filter((i) => i.loading === 'eager' || i.complete);"
            "Promise.allSettled(near.map((i) => i.decode()))"
            ".then(() => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        return self

    def colours(self, selector: str, x: float, y: float, reach: int = 0) -> list[tuple[int, int, int]]:
        """What the screen shows at a place of an element, both from 0 to 1, and within `reach` pixels of it."""
        left, top, width, height = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'center' });"
            "const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]",
            selector,
        )
        self.painted()
        image = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        across, down = int(left + x * width), int(top + y * height)
        around = range(-reach, reach + 1)
        return [image.getpixel((across + right, down + below)) for right in around for below in around]

    def errors(self) -> list[str]:
        """What the console says since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


def _missing(what: str) -> None:
    """The page is tested in a browser on every change; only somebody without one may leave that out."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: the page cannot be tested")
    pytest.skip(f"{what}: install Chromium and its driver to test the page (apt-get install chromium chromium-driver)")


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    chromedriver = shutil.which("chromedriver")
    if browser is None or chromedriver is None:
        _missing("no Chromium" if browser is None else "no chromedriver")
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
    """The browser at its usual size, in light colours."""
    return Page(driver).resize(*SIZE).prefer("light")


@pytest.fixture
def keep(driver: Any, tmp_path: Path) -> Callable[[str], Path]:
    """Keeps a screenshot, beside those of other tests or in a folder that goes."""

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
    """Writes runs, given as rows, and makes their report."""

    def make(*runs: list[dict[str, Any]], **identity: Any) -> Path:
        folders = [
            save(tmp_path / f"run{number}", rows, **{"config": "AB"[number], **identity})
            for number, rows in enumerate(runs)
        ]
        return report(folders, out=tmp_path / "report")

    return make


@pytest.fixture(scope="session")
def two_runs(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two runs over four pictures; tests only look at it.

    A is right of 0, 1 and 3; B is right of 0 and 2.
    """
    folder = tmp_path_factory.mktemp("two")
    causes = {"A": ("right", "right", "wrong_object", "right", "no_candidate", "wrong_object")}
    causes["B"] = ("right", "wrong_category", "right", "wrong_object", "no_candidate", "wrong_object")
    said = ("dog", "red dog", "the dog left of the cup", "a cup", "person", "red cup")
    kinds = ("category", "color", "place", "category", "category", "color")
    categories = ("dog", "dog", "dog", "cup", "person", "cup")
    runs = [
        save(
            folder / name,
            [
                row(number, pictures[number % 4], said[number], cause, kind=kinds[number])
                | {"referent_category": categories[number], "score": 0.9 - number / 10, "size": 0.1 + number / 100}
                for number, cause in enumerate(causes[name])
            ],
            config=name,
        )
        for name in ("A", "B")
    ]
    return report(runs, out=folder / "report")
