"""Take docs/img/report.png: a screenshot of a report in headless Chromium.

    python docs/make_report_picture.py REPORT

REPORT is a folder that `aligncat report` wrote. The script needs chromium, chromedriver and selenium.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

WIDTH, HEIGHT, COLOURS = 1360, 960, 256


def main() -> None:
    """Open the report, wait for its pictures and save the screenshot."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        driver.get((Path(sys.argv[1]) / "index.html").resolve().as_uri())
        shown = (
            "const cards = [...document.querySelectorAll('.card img')].slice(0, 12);"
            "return cards.length && cards.every((image) => image.complete && image.naturalWidth)"
        )
        WebDriverWait(driver, 60).until(lambda page: page.execute_script(shown))
        picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    finally:
        driver.quit()
    picture.quantize(COLOURS, kmeans=4).save(Path(__file__).parent / "img" / "report.png", optimize=True)


if __name__ == "__main__":
    main()
