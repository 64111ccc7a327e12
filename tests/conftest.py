"""Fixtures shared by the tests of several packages, among them a real browser.

If ALIGNCAT_ARTEFACTS names a folder, screenshots are kept there. What takes seconds to import is imported by the
fixtures that need it, so that a file of tests without it is quick.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from helpers.browser import Page

if TYPE_CHECKING:
    from helpers.tiny_run import World

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SIZE = (1280, 900)  # px


def pytest_configure() -> None:
    """Let signals end the tests' processes where the shell started the tests in the background, which ignores them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny Mask2Former with random weights."""
    from helpers.tiny_detector import save_tiny_detector

    return save_tiny_detector(tmp_path_factory.mktemp("detector") / "tiny")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a dataset and a store to train on. Tests only read it."""
    from helpers.tiny_run import make_world

    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an AlignCAT grounder that was trained for four epochs. Tests only read it."""
    from helpers.tiny_run import run

    out = tmp_path_factory.mktemp("trained") / "AlignCAT"
    run(world, out)
    return out


@pytest.fixture(scope="session")
def calibrated(trained: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the same grounder with a calibration, which the tiny validation split is too small for."""
    from aligncat.datasets.load import load_split
    from aligncat.grounder.grounder import Grounder
    from aligncat.training.calibration import calibrate

    split = load_split(world.data, "train")
    bare = Grounder.from_pretrained(trained)
    calibration = calibrate(
        bare.model, bare.vocabulary, store=world.open(), split=split, references=list(split.images), seed=0
    )
    found = Grounder(
        bare.model, bare.vocabulary, bare.labels, bare.detector_description, bare.provenance, calibration=calibration
    )
    found.save_pretrained(out := tmp_path_factory.mktemp("calibrated") / "AlignCAT")
    return out


def _missing(what: str) -> NoReturn:
    """Fail in CI, where the pages must be tested in a browser; skip on other machines without one."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}: the pages cannot be tested")
    pytest.skip(f"{what}: install Chromium and its driver to test the pages (apt-get install chromium chromium-driver)")


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
