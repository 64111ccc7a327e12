"""The page's viewer of one expression: picture, outlines of masks, scores, candidates, keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from helpers.browser import Page
from helpers.fabricate_answers import COLOURS, HEIGHT, LEFT, RIGHT, WIDTH, counts, row
from pycocotools import mask as coco_mask

LEFT_KEY, RIGHT_KEY, ESCAPE, ENTER = "\ue012", "\ue014", "\ue00c", "\ue007"
TRUTH, CHOSEN = (0, 158, 115), (213, 94, 0)


def near(found: tuple[int, ...], wanted: tuple[int, ...], tolerance: int = 6) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(found, wanted, strict=True))


class TestViewer:
    def test_it_shows_the_picture_unchanged_with_the_boxes_in_place(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).click(".run input", 1).choose("order", "as in the data")
        page.click(".card", 2)  # A is wrong here: the truth is on the left, the choice on the right
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

    def test_masks_are_outlined_without_changing_the_pictures_colours(
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

    def test_it_states_the_answer_and_its_cause(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view()
        said = " ".join(page.texts("#viewer")[0].split())
        for words in (
            "1 of 6",
            "red dog",
            "kind color",
            "needed color",
            "probability",
            "0.800",
            "category read",
            "mask IoU",
        ):
            assert words in said
        assert "an object of another category was chosen" in said
        assert page.texts(".panel .word")[:2] == ["red0.25", "dog0.50"]

    def test_candidates_are_shown_with_scores_and_boxes_on_demand(
        self, page: Page, make_report: Any, pictures: list[Path]
    ) -> None:
        page.open(make_report([row(0, pictures[0], fine_scores=[2, 1.5, 1])])).view().click("[name=candidates]")
        page.wait("return document.querySelector('.candidates table') !== null")
        cells = page.cells(".candidates tbody tr")
        assert cells[0] == ["1", "dog", "yes", "1.00", "0.750", "1", "0.500", "100.500", "2.000", "0.900"]
        assert cells[2] == ["3", "person", "no", "0.17", "0.000", "0", "-0.125", "\u2013", "1.000", "0.100"]
        roles = "return [...document.querySelectorAll('.panel .kept, .panel .dropped')].map((e) => e.classList[1])"
        assert sorted(page.run(roles)) == ["dropped", "kept", "kept"]

    def test_without_a_second_stage_there_is_no_column_of_kept_candidates(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view().click("[name=candidates]")
        page.wait("return document.querySelectorAll('.candidates table').length === 2")
        assert page.cells(".candidates tbody tr")[0] == ["1", "dog", "1.00", "0.750", "1", "0.500", "100.500", "0.900"]
        assert page.run("return document.querySelectorAll('.panel .dropped').length") == 0

    def test_keys_move_between_cards_and_through_the_viewer(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).run("document.querySelector('.card').focus()")
        page.press(RIGHT_KEY, ENTER).wait("return document.querySelector('#viewer').open")
        assert page.texts("#viewer-text") == ["the dog left of the cup"]
        # The browser may handle the keys after the driver returns.
        page.press(RIGHT_KEY, RIGHT_KEY, LEFT_KEY)
        page.wait("return document.querySelector('#viewer .place').textContent === '3 of 6'")
        assert page.texts("#viewer-text") == ["a cup"]
        page.press(ESCAPE).wait("return !document.querySelector('#viewer').open")
        page.wait("return document.activeElement.className === 'card'")
        assert page.run("return document.activeElement.querySelector('.text').textContent") == "a cup"
        assert page.errors() == []

    def test_the_viewer_stops_at_the_last_expression(self, page: Page, two_runs: Path) -> None:
        page.open(two_runs).view(4).press(RIGHT_KEY, RIGHT_KEY)
        page.wait("return document.querySelector('#viewer .place').textContent !== '5 of 6'")
        assert page.texts("#viewer .place") == ["6 of 6"]
        assert page.run("return document.querySelector('[name=next]').disabled")


def test_masks_of_pycocotools_are_decoded_and_outlined(page: Page, two_runs: Path) -> None:
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
