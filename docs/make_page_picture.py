"""Take docs/img/page.png: a screenshot of the page in headless Chromium.

    python docs/make_page_picture.py

The script starts `aligncat page` on a free port, takes the second example, and asks both grounders. It needs the extra
[page], chromium, chromedriver and selenium.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

WIDTH, HEIGHT, COLOURS, EXAMPLE = 1280, 1120, 256, 1


def main() -> None:
    """Start the page, open it, ask, save the screenshot, and stop."""
    command = [sys.executable, "-m", "aligncat", "page", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        addresses = (re.search(r"Open (http://\S+)", line) for line in process.stderr)
        picture = screenshot(next(found[1] for found in addresses if found))
    finally:
        process.terminate()
        process.communicate()
    picture.quantize(COLOURS, kmeans=4).save(Path(__file__).parent / "img" / "page.png", optimize=True)


def screenshot(address: str) -> Image.Image:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get(address)
        wait(driver, "return document.querySelectorAll('#second label').length > 2")
        driver.execute_script("[...document.querySelectorAll('#second label')].at(-1).click()")
        wait(driver, "return document.querySelector('#second label:last-child input').checked")
        driver.execute_script("document.querySelectorAll('#examples button')[arguments[0]].click()", EXAMPLE)
        wait(driver, "return document.querySelectorAll('#answers .answer').length === 2")
        wait(driver, "return [...document.images].every((image) => image.complete)")
        return Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    finally:
        driver.quit()


def wait(driver: Any, condition: str) -> None:
    WebDriverWait(driver, 120).until(lambda page: page.execute_script(condition))


if __name__ == "__main__":
    main()
