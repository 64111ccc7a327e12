"""Answers as HTML: no value is markup, and the pictures show the masks."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import pytest
from helpers.fabricate_groundings import HEIGHT, LEFT, RIGHT, WIDTH, blob, grounding
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aligncat.errors import ImageError
from aligncat.geometry import encode_mask
from aligncat.grounder.doubts import Thresholds
from aligncat.grounder.ground_many import PhotoAnswer
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.grounding import Grounding
from aligncat.grounder.overlay import PALETTE
from aligncat.grounder.unlike import UNLIKE
from aligncat.serving.page.about import About, about, advice
from aligncat.serving.page.pictures import shown_mask, shown_photo
from aligncat.serving.page.rendering import about_html, answer_html, settings_html

ABOUT = About("mine", False, ("It is a test.",), ("dog",), True)
HARD = st.text(alphabet=st.sampled_from("<>&\"'`={}$/#scriptond \n"), min_size=1, max_size=40)


class Tags(HTMLParser):
    """The tags with the names of their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def shown(*groundings: Grounding, of: About = ABOUT) -> str:
    return answer_html(of, "data:image/jpeg;base64,", PhotoAnswer(b"", (WIDTH, HEIGHT), groundings), Thresholds())


def with_text(text: str) -> tuple[About, Grounding]:
    found = grounding(text, warnings=(text,))
    candidates = tuple(replace(each, category=text) for each in found.candidates)
    found = replace(found, category=text, candidates=candidates, word_weights=((text, 0.5),))
    return replace(ABOUT, name=text, facts=(text,), categories=(text,)), found


@settings(deadline=None, max_examples=60)
@given(HARD)
def test_no_value_is_markup(text: str) -> None:
    about_text, found = with_text(text)
    about_plain, plain = with_text("plain")
    assert Tags(shown(found, of=about_text)).tags == Tags(shown(plain, of=about_plain)).tags
    assert Tags(about_html((about_text,))).tags == Tags(about_html((about_plain,))).tags
    headings = "".join(Tags(shown(found, of=about_text)).text)
    assert text in headings


def test_a_low_match_is_told() -> None:
    found = grounding("red dog")
    assert "Nothing here matches" in shown(replace(found, match=0.2))
    assert "Nothing here matches" not in shown(replace(found, match=0.5))
    assert "Nothing here matches" not in shown(replace(found, match=None))


def test_what_is_said_of_the_photo_is_said_once() -> None:
    html = shown(*(grounding(each, warnings=(UNLIKE, f"About {each}.")) for each in ("one", "two")))
    assert html.count(UNLIKE) == 1
    assert html.index(UNLIKE) < html.index("<h4>") < html.index("About one.") < html.index("About two.")


def test_a_number_at_the_right_edge_is_whole() -> None:
    html = shown(replace(grounding("one"), box=(WIDTH - 2, 2, WIDTH, 12)))
    unit = WIDTH / 100
    [x] = [float(part.split(chr(34))[1]) for part in html.split('<text class="number" x=')[1:]]
    assert x == pytest.approx(WIDTH - 3 * unit)


def test_all_objects_of_a_phrase_are_told() -> None:
    found = grounding("both dogs", both=True)
    found = replace(found, match=0.9, answers=tuple(replace(each, match=0.8) for each in found.answers))
    text = " ".join("".join(Tags(shown(found)).text).split())
    assert "Objects2 Probability, together0.75 Match0.90" in text
    assert "dog: probability 0.50, match 0.80, box 4, 2, 14, 12" in text
    assert "dog: probability 0.25, match 0.80, box 20, 5, 30, 20" in text
    assert shown(found).count('<tr class="chosen"') == 2
    assert shown(found).count("<image ") == 2


def test_what_was_left_out_is_told_with_its_reason() -> None:
    left = grounding("<b>cat</b>")
    answer = PhotoAnswer(b"", (WIDTH, HEIGHT), (), (left,))
    html = answer_html(ABOUT, "data:image/jpeg;base64,", answer, Thresholds(probability=0.6))
    assert "<b>" not in html
    text = " ".join("".join(Tags(html).text).split())
    assert "<b>cat</b> Left out: nothing is probable enough: probability 0.50. Download" in text


def test_drawing_is_given_up_after_the_deadline() -> None:
    answer = PhotoAnswer(b"", (WIDTH, HEIGHT), (grounding("dog"),))
    with pytest.raises(TimeoutError):
        answer_html(ABOUT, "data:image/jpeg;base64,", answer, Thresholds(), until=0.0)


def test_the_settings_say_which_grounders_have_a_match() -> None:
    html = settings_html((ABOUT, replace(ABOUT, name="free", has_match=False)))
    assert 'data-first="mine" data-grounders="2" data-with-match="mine"' in html


def test_numbers_of_equal_boxes_stand_in_a_row() -> None:
    tags = shown(grounding("one"), grounding("two"), grounding("three", RIGHT))
    unit = WIDTH / 100
    corners = [part.split('"')[1] for part in tags.split('<text class="number" x=')[1:]]
    assert corners == [str(x + 3 * unit) for x in (LEFT[0], LEFT[0] + 6 * unit, RIGHT[0])]


def test_numbers_of_candidates_cover_no_other_number() -> None:
    found = grounding("one")
    near = [(LEFT[0] + shift, LEFT[1], LEFT[2], LEFT[3] + shift) for shift in (0, 0.1, 0, -0.2)]
    candidates = tuple(replace(found.candidates[0], box=box) for box in (*near, RIGHT, RIGHT))
    tags = shown(replace(found, candidates=candidates)).partition('<g class="candidates">')[2].partition("</g>")[0]
    unit = WIDTH / 100
    places = [tuple(map(float, place)) for place in re.findall(r'<text x="([^"]+)" y="([^"]+)"', tags)]
    assert len(places) == 6 and places[0] == pytest.approx((LEFT[0] + unit / 2, LEFT[3] - 0.75 * unit))
    for (x, y), (other_x, other_y) in combinations(places, 2):
        assert abs(x - other_x) >= 2.4 * unit or abs(y - other_y) >= 4 * unit, "glyphs of 4 units cover each other"


def test_words_are_shown_as_they_are_written() -> None:
    found = replace(grounding("A <b>t-shirt</b>"), word_weights=(("a", 0.25), ("<b>t", 0.25), ("shirt<", 0.5)))
    words = "".join(Tags(shown(found)).text).partition("Weights of words")[2].partition("All 2")[0]
    assert words.split() == ["A", "0.25", "<b>t-shirt</b>", "0.75"]


def test_a_mask_is_a_transparent_picture() -> None:
    mask = blob(LEFT)
    picture = _opened(shown_mask(encode_mask(mask), PALETTE[0])).convert("RGBA")
    pixels = np.asarray(picture)
    assert np.array_equal(pixels[..., 3] > 0, mask)
    assert (pixels[mask][:, :3] == PALETTE[0]).all()


def test_pictures_are_at_most_1280_pixels_long() -> None:
    Image.new("RGB", (3000, 20), "red").save(file := io.BytesIO(), "PNG")
    assert _opened(shown_photo(file.getvalue(), max_pixels=10**6)).size == (1280, 9)
    mask = np.zeros((20, 3000), np.bool_)
    mask[:, 1500:] = True
    picture = _opened(shown_mask(encode_mask(mask), PALETTE[0])).convert("RGBA")
    assert picture.size == (1000, 7)
    assert np.array_equal(np.asarray(picture)[0, :, 3] > 0, np.arange(1000) >= 500)


def test_a_photo_beyond_the_limit_is_not_decoded() -> None:
    Image.new("RGB", (300, 20), "red").save(file := io.BytesIO(), "PNG")
    with pytest.raises(ImageError, match="too large"):
        shown_photo(file.getvalue(), max_pixels=5999)


def test_the_shipped_grounder_says_that_it_knows_drawings() -> None:
    from aligncat.grounder.folder import SHIPPED

    grounders = {
        "shipped": Grounder.from_pretrained(SHIPPED),
        "free": Grounder.from_pretrained("training-free", detector="mini"),
    }
    shipped, free = about(grounders)
    assert shipped.facts == (
        "It knows the drawings of MojiRef, not photographs.",
        "It learned from 94,766 phrases about 11,938 images of MojiRef.",
        "Its detector, mini, finds 64 categories.",
        "Its match says how probable it is that the photo shows what the phrase says.",
    )
    assert shipped.drawings and free.drawings and "broccoli" in shipped.categories
    assert advice((shipped, free)) == (
        "aligncat page training-free --detector facebook/mask2former-swin-tiny-coco-instance"
    )
    assert advice((shipped, replace(free, drawings=False))) is None


def test_a_trained_grounder_says_what_it_has(calibrated: object, tiny_detector: object) -> None:
    grounders = {
        "mine": Grounder.from_pretrained(str(calibrated)),
        "free": Grounder.from_pretrained("training-free", detector=str(tiny_detector)),
    }
    mine, free = about(grounders)
    assert not mine.drawings and not free.drawings
    assert mine.facts[-1].startswith("Its match says how probable it is")
    assert free.facts[0].startswith("It is not trained:") and "(a local folder)" in free.facts[1]


def _opened(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))
