"""A report page in a real browser."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

from PIL import Image

PHONE = 500  # px; narrower windows emulate a phone


class Page:
    """A report page opened in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, index: Path) -> Page:
        self.driver.get_log("browser")
        self.driver.get(index.resolve().as_uri())
        return self.wait("return document.body.dataset.ready !== undefined")

    def run(self, script: str, *values: Any) -> Any:
        """Run a piece of JavaScript and return its value."""
        return self.driver.execute_script(script, *values)

    def wait(self, condition: str) -> Page:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60, poll_frequency=0.02).until(lambda driver: driver.execute_script(condition))
        return self

    def resize(self, width: int, height: int) -> Page:
        """Set the size of the window; narrow windows emulate a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        return self

    def prefer(self, scheme: str) -> Page:
        """Set the colour scheme that the reader's system prefers, light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        return self

    def cells(self, rows: str) -> list[list[str]]:
        """Return the text of every cell of the rows that a selector matches."""
        cells: list[list[str]] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((r) => [...r.cells].map((c) => c.textContent))",
            rows,
        )
        return cells

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector
        )
        return texts

    def click(self, selector: str, place: int = 0) -> Page:
        self.run("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, place)
        return self

    def choose(self, name: str, words: str) -> Page:
        """Choose the first option of a filter that starts with some words."""
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
        """Open a card in the viewer and wait for its details."""
        self.click(".card", place)
        return self.wait("return document.querySelectorAll('#viewer[open] .panel dl').length > 0")

    def painted(self) -> Page:
        """Wait until the visible pictures are loaded, decoded and painted."""
        self.driver.execute_async_script(
            "const done = arguments[0];"
            "const near = [...document.images].filter((i) => i.loading === 'eager' || i.complete);"
            "Promise.allSettled(near.map((i) => i.decode()))"
            ".then(() => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        return self

    def colours(self, selector: str, x: float, y: float, reach: int = 0) -> list[tuple[int, int, int]]:
        """Return the colours on the screen within `reach` pixels of a point of an element (x and y from 0 to 1)."""
        left, top, width, height = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'center' });"
            "const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]",
            selector,
        )
        self.painted()
        image = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        across, down = int(left + x * width), int(top + y * height)
        around = range(-reach, reach + 1)
        places = [(across + right, down + below) for right in around for below in around]
        return [cast("tuple[int, int, int]", image.getpixel(place)) for place in places]

    def shot(self, selector: str) -> Image.Image:
        """Return an element as it is on the screen; it must fit the window."""
        box = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({ block: 'center' });"
            "const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]",
            selector,
        )
        self.painted()
        return Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB").crop(tuple(map(round, box)))

    def errors(self) -> list[str]:
        """Return the console's messages since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]
