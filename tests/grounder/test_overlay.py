"""Drawing groundings: which pixels change, the colours, the size of the picture, and odd phrases."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aligncat.geometry import encode_mask
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.overlay import draw_groundings


def grounding(width: int, height: int, box: tuple[int, int, int, int], expression: str = "the thing") -> Grounding:
    x1, y1, x2, y2 = box
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    edges = (float(x1), float(y1), float(x2), float(y2))
    return Grounding(expression, edges, encode_mask(mask), 1.0, "cup", None, True, (), 0, ())


def test_pixels_change_only_in_mask_box_and_label() -> None:
    image = Image.new("RGB", (600, 500), (10, 20, 30))
    drawn = np.asarray(draw_groundings(image, [grounding(600, 500, (200, 300, 400, 450))]))
    assert drawn.shape == (500, 600, 3)
    # 0.75 of the photo and 0.25 of the first colour, (213, 94, 0).
    assert drawn[400, 300].tolist() == [60, 38, 22]
    outside = np.ones((500, 600), bool)
    outside[250:450, 190:410] = False
    assert (drawn[outside] == (10, 20, 30)).all()
    assert np.asarray(image)[400, 300].tolist() == [10, 20, 30]


def test_every_grounding_has_its_own_colour() -> None:
    boxes = [(10, 200, 100, 400), (200, 200, 300, 400), (400, 200, 500, 400)]
    drawn = draw_groundings(Image.new("RGB", (600, 500)), [grounding(600, 500, box) for box in boxes])
    assert len({drawn.getpixel(((x1 + x2) // 2, 300)) for x1, _, x2, _ in boxes}) == 3


@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        ((128, 128), (512, 512)),
        ((640, 480), (640, 480)),
        ((1, 4000), (1, 4000)),  # enlarging one pixel to a legible width would take a gigapixel
        ((100, 1000), (200, 2000)),
    ],
)
def test_small_images_are_enlarged_up_to_a_limit(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    found = grounding(*size, (0, 0, 1, 1))
    assert draw_groundings(Image.new("RGB", size), [found]).size == drawn


@pytest.mark.parametrize("expression", ["word " * 10_000, "one\ntwo", "", "чашка 杯子 🍵"])
def test_any_phrase_can_be_drawn(expression: str) -> None:
    picture = draw_groundings(Image.new("RGB", (64, 64)), [grounding(64, 64, (0, 0, 64, 64), expression)])
    assert picture.size == (512, 512)
