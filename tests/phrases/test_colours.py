"""Colour words from statistics that an independent implementation computes from pixels."""

from __future__ import annotations

import pytest
from helpers.phrase_store import statistics

from aligncat.language.colours import COLOUR_OF, COLOURS
from aligncat.phrases.colours import colour_words

Pixel = tuple[int, int, int]
OUTLINE, EDGE = (10, 10, 10), (250, 250, 250)
RED, BLUE, SKIN, HAIR = (210, 30, 30), (30, 60, 200), (225, 170, 130), (90, 55, 30)
PIXELS: dict[str, Pixel] = {
    "red": RED,
    "orange": (240, 140, 20),
    "brown": (120, 70, 30),
    "yellow": (250, 220, 40),
    "green": (40, 150, 50),
    "blue": BLUE,
    "purple": (130, 60, 190),
    "pink": (240, 110, 170),
    "black": (15, 12, 10),
    "gray": (128, 128, 128),
    "white": (240, 240, 240),
}


@pytest.mark.parametrize("word", COLOURS)
def test_a_plain_colour_has_its_word(word: str) -> None:
    assert colour_words(statistics([PIXELS[word]])) == {word}


def test_every_word_for_a_colour_names_one_that_can_be_measured() -> None:
    assert set(COLOUR_OF.values()) == set(COLOURS)


@pytest.mark.parametrize("word", ["red", "orange", "brown", "yellow", "green", "blue", "purple", "pink"])
def test_outlines_and_white_edges_do_not_change_the_word(word: str) -> None:
    assert colour_words(statistics([PIXELS[word]] * 12 + [OUTLINE] * 3 + [EDGE] * 4)) == {word}


def test_a_pale_red_is_pink() -> None:
    assert colour_words(statistics([(240, 150, 150)])) == {"pink"}


@pytest.mark.parametrize(
    "pixels",
    [[RED] * 5 + [BLUE] * 5, [RED] * 2 + [OUTLINE] * 8],
    ids=["two colours", "little of a colour"],
)
def test_an_object_without_a_main_colour_has_no_word(pixels: list[Pixel]) -> None:
    assert colour_words(statistics(pixels)) == set()


@pytest.mark.parametrize(
    ("pixel", "words"),
    [((255, 180, 0), {"orange", "yellow"}), ((255, 64, 0), {"red", "orange"})],  # 42 and 15 degrees
)
def test_a_colour_between_two_words_has_both(pixel: Pixel, words: set[str]) -> None:
    assert colour_words(statistics([pixel])) == words


@pytest.mark.parametrize(("pixel", "word"), [((255, 180, 0), "yellow"), ((255, 64, 0), "orange")])
def test_without_a_margin_it_has_the_word_of_its_hue(pixel: Pixel, word: str) -> None:
    assert colour_words(statistics([pixel]), margin=0) == {word}


def test_a_colour_between_gray_and_white_has_both() -> None:
    assert colour_words(statistics([PIXELS["gray"]] * 5 + [EDGE] * 5)) == {"gray", "white"}


def test_the_colour_of_a_person_is_that_of_the_clothes() -> None:
    pixels = [SKIN] * 8 + [HAIR] * 4 + [BLUE] * 8
    assert colour_words(statistics(pixels), person=True) == {"blue"}
    assert colour_words(statistics([SKIN] * 18 + [BLUE] * 2), person=True) == set()
    assert colour_words(statistics([SKIN] * 10 + [BLUE] * 6 + [(40, 150, 50)] * 4), person=True) == set()
