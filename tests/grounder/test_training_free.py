"""The training-free grounder: its choices on candidates made by hand, and its errors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.descriptions import detector_description
from helpers.tiny_run import World
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from aligncat.datasets.load import load_split
from aligncat.detectors.colour import COLOUR, colour_statistics
from aligncat.errors import ConfigError, DataError, DetectorError
from aligncat.geometry import encode_mask
from aligncat.grounder.grounder import Grounder
from aligncat.grounder.training_free import TrainingFreeGrounder
from aligncat.grounder.training_free_doubts import NO_CATEGORY
from aligncat.types import Candidates

LABELS = ("person", "dog", "cup")
PAINTS = {
    "red": (220, 20, 20),
    "green": (20, 200, 20),
    "black": (10, 10, 10),
    "blue": (20, 20, 220),  # hue 240
    "violet": (78, 20, 220),  # hue 257: purple begins at 255, but people would disagree
    "motley": (20, 20, 220),  # in stripes with red and green
}


def candidates(
    rows: Sequence[tuple[str, float, tuple[int, int, int, int], str]], *, coloured: bool = True
) -> Candidates:
    """Return candidates of a 100 x 100 image from (category, confidence, box, colour), most confident first."""
    masks, colours = [], []
    for _, _, (x1, y1, x2, y2), paint in rows:
        mask = np.zeros((100, 100), bool)
        mask[y1:y2, x1:x2] = True
        masks.append(encode_mask(mask))
        photo = np.broadcast_to(np.array(PAINTS[paint], np.uint8), (100, 100, 3)).copy()
        if paint == "motley":
            photo[::3], photo[1::3] = PAINTS["red"], PAINTS["green"]
        colours.append(colour_statistics(photo, mask))
    count = len(rows)
    return Candidates(
        image_id="image",
        width=100,
        height=100,
        features=np.zeros((count, 4), np.float16),
        queries=np.arange(count, dtype=np.int32),
        categories=np.array([LABELS.index(row[0]) for row in rows], np.int32),
        confidences=np.array([row[1] for row in rows], np.float32),
        boxes=np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        masks=tuple(masks),
        columns={COLOUR.name: np.array(colours, np.float16)} if coloured else {},
    )


SCENE = candidates(
    [
        ("dog", 0.9, (40, 40, 60, 60), "black"),  # 0: in the middle
        ("dog", 0.8, (5, 50, 25, 95), "red"),  # 1: left, low, the biggest
        ("dog", 0.8, (6, 50, 25, 95), "red"),  # 2: the same object once more
        ("dog", 0.7, (80, 5, 90, 15), "red"),  # 3: right, high, the smallest
        ("cup", 0.6, (0, 0, 10, 10), "green"),  # 4
        ("dog", 0.1, (0, 0, 5, 5), "green"),  # 5: not confident enough
    ]
)


def grounder(labels: Sequence[str] = LABELS, *, coloured: bool = True) -> TrainingFreeGrounder:
    return TrainingFreeGrounder(labels, detector_description(name="hand"), coloured=coloured)


@pytest.mark.parametrize(
    ("phrase", "choice"),
    [
        ("the dog", 0),
        ("left dog", 1),
        ("dog on the right", 3),
        ("second dog from the left", 0),
        ("third dog from left", 3),
        ("fifth dog from the left", 3),  # there are three: the last one
        ("dog in the middle", 0),
        ("top dog", 3),
        ("closest dog", 1),
        ("dog in the back", 3),
        ("biggest dog", 1),
        ("second biggest dog", 0),
        ("tiny dog", 3),
        ("red dog", 1),
        ("red dog on the right", 3),
        ("red dog at the top", 3),
        ("green dog", 0),  # no dog is green, so the colour is left out
        ("cup", 4),
        ("man", 0),  # no person: the most confident of all
        ("left thing", 4),  # no category: all candidates count
    ],
)
def test_the_choice(phrase: str, choice: int) -> None:
    [found] = grounder().ground_candidates(SCENE, phrase)
    assert found.choice == choice
    assert found.box == tuple(SCENE.boxes[choice].tolist())


def test_an_answer_says_what_was_read() -> None:
    dog, man, odd = grounder().ground_candidates(SCENE, ["left dog", "man", "left thing"])
    assert (dog.predicted_category, dog.category, dog.category_matched) == ("dog", "dog", True)
    assert (man.predicted_category, man.category, man.category_matched) == ("person", "dog", False)
    assert (odd.predicted_category, odd.category_matched, odd.warnings) == (None, True, (NO_CATEGORY,))
    assert dog.warnings == () and len(man.warnings) == 1
    assert (dog.match, dog.word_weights, dog.unknown_words) == (None, (), ())
    assert [each.kept for each in dog.candidates] == [True, True, False, True, False, False]
    # Shares of confidence times e to four times the place: 0.9 e^4·(0.4 of the way), 0.8 e^4, 0.7.
    places = np.array([(85 - 50) / 70, 1.0, 0.0])
    weights = np.array([0.9, 0.8, 0.7]) * np.exp(4 * places)
    kept = [each.probability for each in dog.candidates if each.kept]
    assert kept == pytest.approx((weights / weights.sum()).tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("phrase", "choice", "said"),
    [
        ("third dog from the left", 3, None),  # of three
        ("fourth dog from the left", 3, "number 4 in an order, and only 3 objects count, so the last"),
        ("9th dog from left", 3, "number 9 in an order, and only 3 objects count, so the last"),
        ("second cup from the left", 4, "number 2 in an order, and only 1 object counts, so the last"),
        ("third red dog from the left", 3, "number 3 in an order, and only 2 objects count, so the last"),
        ("first dog from the left", 1, None),
    ],
)
def test_a_place_in_an_order_that_no_object_has_is_said(phrase: str, choice: int, said: str | None) -> None:
    [found] = grounder().ground_candidates(SCENE, phrase)
    assert found.choice == choice
    assert len(found.warnings) == (said is not None)
    assert said is None or said in found.warnings[0]


@pytest.mark.parametrize(
    ("colours", "phrase", "choice", "said"),
    [
        (("blue",), "blue cup", 0, None),
        (("violet",), "purple cup", 0, None),
        (("violet",), "blue cup", 0, "The chosen object is purple rather than blue; the two are close."),
        (("violet", "blue"), "blue cup", 0, "The chosen object is purple rather than blue; the two are close."),
        (("red", "blue"), "navy cup", 1, None),  # a blue
        (("red",), "blue cup", 0, "None of the objects that may be meant was found to be blue; the chosen one is red."),
        (
            ("motley", "red"),
            "blue cup",
            0,
            "None of the objects that may be meant was found to be blue, so the colour was ignored.",
        ),
        (("motley",), "blue cup", 0, None),  # nothing to decide, and nothing speaks against it
        (("red",), "the cup", 0, None),
    ],
)
def test_an_object_of_another_colour_than_asked_is_said(
    colours: tuple[str, ...], phrase: str, choice: int, said: str | None
) -> None:
    rows = [("cup", 0.9 - 0.1 * place, (20 * place, 0, 20 * place + 10, 9), each) for place, each in enumerate(colours)]
    [found] = grounder().ground_candidates(candidates(rows), phrase)
    assert (found.choice, found.warnings) == (choice, () if said is None else (said,))


def test_an_order_of_things_of_no_known_category_gets_both_warnings() -> None:
    [found] = grounder().ground_candidates(SCENE, "tenth thing from the left")
    assert found.warnings[0] == NO_CATEGORY and "number 10 in an order, and only 4 objects count" in found.warnings[1]


def test_a_persons_colour_is_that_of_the_clothes() -> None:
    people = candidates([("person", 0.9, (0, 0, 40, 90), "black"), ("person", 0.8, (50, 0, 90, 90), "green")])
    assert [found.choice for found in grounder().ground_candidates(people, ["woman in green", "woman"])] == [1, 0]


@pytest.mark.parametrize("how", ["grounder", "candidates"])
def test_without_the_column_colour_words_are_unread(how: str) -> None:
    bare = candidates([("dog", 0.9, (0, 0, 9, 9), "black"), ("dog", 0.8, (50, 50, 90, 90), "red")], coloured=False)
    both = candidates([("dog", 0.9, (0, 0, 9, 9), "black"), ("dog", 0.8, (50, 50, 90, 90), "red")])
    [found] = (
        grounder(coloured=False).ground_candidates(both, "red dog")
        if how == "grounder"
        else grounder().ground_candidates(bare, "red dog")
    )
    assert (found.choice, found.unknown_words) == (0, ("red",))


def test_own_categories_are_read_by_their_names() -> None:
    own = grounder(("Safety Valve", "pipe_elbow", "dog"))
    image = candidates([("dog", 0.9, (0, 0, 9, 9), "red"), ("cup", 0.8, (20, 0, 30, 9), "red")])
    image = Candidates(
        **{**{name: getattr(image, name) for name in Candidates.__slots__}, "categories": np.array([1, 0])}
    )
    found = own.ground_candidates(image, ["the safety valve on the left", "pipe elbows", "dogs", "cup"])
    assert [each.predicted_category for each in found] == ["Safety Valve", "pipe_elbow", "dog", "cup"]
    assert [each.choice for each in found] == [1, 0, 0, 0]
    assert [each.category_matched for each in found] == [True, True, False, False]


def test_a_store_and_single_images_get_the_same_choices(world: World) -> None:
    store, split = world.open(), load_split(world.data, "val")
    free = TrainingFreeGrounder.of_store(store)
    choices = free.choose(store, split)
    for row, expression in enumerate(split.expressions):
        [found] = free.ground_candidates(store.candidates(expression.image_id), expression.text)
        assert found.choice == choices.choice[row]
        assert [each.kept for each in found.candidates] == choices.kept[row, : len(found.candidates)].tolist()
        np.testing.assert_array_equal(
            [each.probability for each in found.candidates], choices.probabilities[row, : len(found.candidates)]
        )


FREE = grounder()  # made once, because that takes most of the time


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_with_words_gets_one_of_the_candidates(text: str) -> None:
    if not FREE.vocabulary.words_of(text):
        with pytest.raises(DataError, match="no words"):
            FREE.ground_candidates(SCENE, text)
        return
    [found] = FREE.ground_candidates(SCENE, text)
    kept = [each for each in found.candidates if each.kept]
    assert found.candidates[found.choice] in kept
    assert sum(each.probability for each in kept) == pytest.approx(1)
    assert sum(each.probability for each in found.candidates) == pytest.approx(1)


def test_it_is_loaded_by_its_name_with_any_detector(tiny_detector: Path) -> None:
    free = Grounder.from_pretrained("training-free", detector=tiny_detector)
    assert isinstance(free, TrainingFreeGrounder) and free.device == "cpu" and free.coloured
    [found] = free.ground(Image.new("RGB", (40, 30), "red"), "the left cat")
    assert 0 <= found.probability <= 1 and found.match is None
    assert free.to("cpu") is free


def test_without_a_detector_the_error_names_the_option() -> None:
    with pytest.raises(ConfigError, match="training-free grounder needs a detector: name one with --detector"):
        Grounder.from_pretrained("training-free")
    with pytest.raises(DetectorError, match="made for a store"):
        grounder().ground(Image.new("RGB", (8, 8)), "dog")


def test_what_it_cannot_do_is_an_error(tmp_path: Path) -> None:
    free = grounder()
    with pytest.raises(ConfigError, match="nothing to save"):
        free.save_pretrained(tmp_path / "out")
    with pytest.raises(ConfigError, match="calibrated"):
        free.ground_candidates(SCENE, "both dogs", several=True)
    with pytest.raises(DataError, match="no expression"):
        free.ground_candidates(SCENE, [])
    with pytest.raises(DetectorError, match="found nothing"):
        free.ground_candidates(candidates([]), "dog")


def test_the_best_candidates_are_given_where_asked() -> None:
    [found] = grounder().ground_candidates(SCENE, "left dog", top=2)
    assert [each.choice for each in found.answers] == [1, 0]
    assert [each.match for each in found.answers] == [None, None]


def test_a_missing_category_is_a_warning() -> None:
    [found] = grounder().ground_candidates(SCENE, "man")
    assert any("person" in each for each in found.warnings)
