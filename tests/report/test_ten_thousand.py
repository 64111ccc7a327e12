"""A report of ten thousand expressions over a thousand pictures opens and is small enough to send."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.browser import Page
from helpers.fabricate_answers import LABELS, row, save
from PIL import Image

from aligncat.api.report import write_report
from aligncat.geometry import encode_mask

EXPRESSIONS, IMAGES, CANDIDATES = 10_000, 1_000, 20
WIDTH, HEIGHT = 640, 480


def photo_like(path: Path, random: np.random.Generator) -> Path:
    """Write a picture with soft shapes and grain, whose JPEG is about as large as a photo's."""
    rough = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    grain = random.normal(0, 14, (HEIGHT, WIDTH, 1)).astype(np.int16)
    Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8)).save(path, quality=90)
    return path


def mask_like(random: np.random.Generator) -> bytes:
    """Return the run lengths of an ellipse, about as many as an object has."""
    x, y, a, b = random.integers([100, 100, 30, 30], [540, 380, 120, 120])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return encode_mask(((columns - x) / a) ** 2 + ((rows - y) / b) ** 2 < 1)["counts"]


@pytest.mark.slow
def test_the_page_opens_and_the_folder_stays_small(page: Page, tmp_path: Path, capsys: Any) -> None:
    random = np.random.default_rng(0)
    paths = [photo_like(tmp_path / f"{number}.jpg", random) for number in range(IMAGES)]
    masks = [mask_like(random) for _ in range(50)]
    rows = []
    for number in range(EXPRESSIONS):
        boxes, shares = random.uniform(0, 480, 4 * CANDIDATES), random.dirichlet(np.ones(CANDIDATES))
        scores = random.normal(0, 5, CANDIDATES)
        rows.append(
            row(number, paths[number % IMAGES], f"the dog number {number} beside the large red cup")
            | {"width": WIDTH, "height": HEIGHT, "kind": f"kind {number % 7}", "truth_box": boxes[:4]}
            | {"truth_mask": masks[number % 50], "chosen_mask": masks[-1 - number % 50], "choice": number % CANDIDATES}
            | {"boxes": boxes, "categories": random.integers(0, len(LABELS), CANDIDATES), "kept": shares > 0.05}
            | {"confidences": shares, "probabilities": shares, "ious": shares, "class_scores": (shares > 0.05) * 1.0}
            | {"global_scores": scores, "coarse_scores": scores + 100, "fine_scores": scores}
        )
    run = save(tmp_path / "run", rows)
    started = time.perf_counter()
    index = write_report([run], out=tmp_path / "report", photos=Path("/"), figures=False)
    made = time.perf_counter() - started
    size = sum(path.stat().st_size for path in index.parent.rglob("*") if path.is_file())
    assert size < 100e6

    started = time.perf_counter()
    page.open(index)
    opened = time.perf_counter() - started
    assert page.texts("#count") == ["10,000 expressions"] and len(page.texts(".card")) == 48
    page.choose("kind", "kind 3")
    assert page.texts("#count") == ["1,429 of 10,000 expressions"]  # 3, 10, ..., 9999
    page.choose("order", "longest").view(47)
    assert page.errors() == []
    with capsys.disabled():
        print(f"\nreport of {EXPRESSIONS:,}: made in {made:.1f} s, {size / 1e6:.0f} MB, opened in {opened:.2f} s")
