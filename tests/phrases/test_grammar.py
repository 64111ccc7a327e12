"""Every phrase is read by a reader of its own, from its text and the boxes, and fits exactly one object."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from helpers.phrase_store import BLUE, GREEN, LABELS, RED, Thing, candidates

from aligncat.datasets.lexicon import Lexicon
from aligncat.phrases.attributes import Attribute, attributes_of
from aligncat.phrases.grammar import Phrase, describe
from aligncat.phrases.nouns import _entries, nouns_of, plural, with_indefinite
from aligncat.phrases.objects import PhotoObject, objects_of
from aligncat.phrases.recipe import PhraseRecipe

RECIPE = PhraseRecipe()
COLOURS = {"red": RED, "blue": BLUE, "green": GREEN}


def seen(*things: Thing) -> list[PhotoObject]:
    """Return the objects of an image of these things, in their order."""
    return objects_of(candidates("image", things), LABELS, RECIPE, colours=True)


def phrases_for(
    item: PhotoObject, others: list[PhotoObject], count: int = 40, *, over_specification: float = 1.0
) -> list[Phrase]:
    random = np.random.default_rng(0)
    made = [describe(random, item, others, over_specification=over_specification) for _ in range(count)]
    return [phrase for phrase in made if phrase is not None]


class TestObjects:
    def test_candidates_of_one_mask_are_one_object_and_two_categories_make_it_unsure(self) -> None:
        [dog, cup] = seen(
            Thing("dog", (10, 10, 40, 40), confidence=0.95),
            Thing("cup", (60, 60, 90, 90), confidence=0.9),
            Thing("cup", (61, 60, 90, 90), confidence=0.8),
            Thing("cat", (11, 10, 40, 40), confidence=0.4),
        )
        assert (dog.category, dog.categories, dog.sure) == ("dog", {"dog", "cat"}, False)
        assert (cup.category, cup.categories, cup.sure) == ("cup", {"cup"}, True)

    def test_unconfident_and_tiny_objects_are_not_sure_and_hardly_seen_ones_are_left_out(self) -> None:
        found = seen(
            Thing("dog", (10, 10, 14, 14)),
            Thing("cup", (60, 60, 90, 90), confidence=0.69),
            Thing("cat", (10, 60, 40, 90), confidence=0.29),
        )
        assert [(each.category, each.sure) for each in found] == [("dog", False), ("cup", False)]

    def test_boxes_are_shares_of_the_photo(self) -> None:
        [dog] = seen(Thing("dog", (10, 20, 40, 90), colour=RED))
        assert dog.box == pytest.approx((0.1, 0.2, 0.4, 0.9)) and dog.extent == pytest.approx(0.7)
        assert dog.center == pytest.approx((0.25, 0.55)) and dog.colours == {"red"}


class TestAttributes:
    def test_an_object_has_what_its_box_and_colour_say(self) -> None:
        item, anchor, far = seen(
            Thing("dog", (10, 10, 30, 30), colour=RED),  # centre .2, .2; extent .2
            Thing("cup", (35, 10, 60, 30)),  # centre .475, .2; 5 pixels to the right
            Thing("bus", (5, 60, 65, 95)),  # centre .35, .775
        )
        found = {(each.kind, each.value, each.anchor) for each in attributes_of(item, [anchor, far])}
        assert found == {
            ("color", "red", None),
            ("size", "small", None),
            ("place", "left", None),
            ("place", "top", None),
            ("relation", "left of", anchor),
            ("relation", "next to", anchor),
            ("relation", "above", far),
        }

    def test_a_relation_never_starts_from_an_object_that_may_not_be_the_only_one(self) -> None:
        item, *others = seen(
            Thing("dog", (10, 10, 30, 30)),
            Thing("cup", (35, 10, 60, 30)),
            Thing("cup", (70, 70, 90, 90), confidence=0.4),
            Thing("bus", (40, 60, 65, 95), confidence=0.5),
        )
        assert not [each for each in attributes_of(item, others) if each.kind == "relation"]

    @pytest.mark.parametrize(
        ("attribute", "box", "strict", "lenient"),
        [
            (Attribute("place", "left"), (26, 40, 46, 60), True, True),  # centre .36
            (Attribute("place", "left"), (34, 40, 54, 60), False, True),  # .44
            (Attribute("place", "left"), (36, 40, 56, 60), False, False),  # .46
            (Attribute("size", "big"), (10, 10, 56, 20), True, True),  # .46
            (Attribute("size", "big"), (10, 10, 46, 20), False, True),  # .36
            (Attribute("size", "small"), (10, 10, 46, 20), False, False),
            (Attribute("color", "red"), (10, 10, 46, 20), False, False),  # gray
        ],
    )
    def test_the_lenient_reading_is_wider(
        self, attribute: Attribute, box: tuple[int, int, int, int], strict: bool, lenient: bool
    ) -> None:
        [item] = seen(Thing("dog", box))
        assert (attribute.holds(item), attribute.holds(item, lenient=True)) == (strict, lenient)

    def test_an_object_of_unknown_colour_may_have_any(self) -> None:
        [item] = objects_of(candidates("image", [Thing("dog", (1, 1, 40, 40))]), LABELS, RECIPE, colours=False)
        red = Attribute("color", "red")
        assert (red.holds(item), red.holds(item, lenient=True)) == (False, True)


RELATION = re.compile(
    r"\s(?:that is )?(?P<link>(?:to the )?(?:left|right) of|above|over|below|under|next to|beside|near|by)"
    r" (?:the )?(?P<anchor>[a-z ]+)$"
)


def read(text: str, objects: list[PhotoObject], *, lenient: bool) -> list[int]:
    """Return which objects a phrase may mean, from its words alone."""
    fits = list(range(len(objects)))
    if found := RELATION.search(text):
        text = text[: found.start()]
        [anchor] = [each for each in objects if found["anchor"] in nouns_of(each.category)]
        fits = [place for place in fits if related(found["link"], objects[place], anchor, lenient)]
    words = set(re.sub(r"\bof the \w+ (\w+)$", r"of \1", text).split())
    nouns = {each.category: {*nouns_of(each.category), *map(plural, nouns_of(each.category))} for each in objects}
    fits = [place for place in fits if nouns[objects[place].category] & words]
    for place in list(fits):
        (x, y), extent = objects[place].center, objects[place].extent
        true = [
            "left" not in words or x <= (0.45 if lenient else 0.36),
            "right" not in words or x >= (0.55 if lenient else 0.64),
            "top" not in words or y <= (0.45 if lenient else 0.35),
            "bottom" not in words or y >= (0.55 if lenient else 0.65),
            not words & {"middle", "center"} or abs(x - 0.5) <= (0.2 if lenient else 0.1),
            not words & {"middle", "center"} or abs(y - 0.5) <= (0.3 if lenient else 0.2),
            not words & {"big", "large"} or extent >= (0.35 if lenient else 0.45),
            not words & {"small", "little"} or extent <= (0.32 if lenient else 0.24),
            not words & COLOURS.keys() or objects[place].colours <= words,
        ]
        if not all(true):
            fits.remove(place)
    return fits


def related(link: str, item: PhotoObject, anchor: PhotoObject, lenient: bool) -> bool:
    (x, y), (from_x, from_y) = item.center, anchor.center
    if link in ("next to", "beside", "near", "by"):
        gaps = [
            max(item.box[axis] - anchor.box[axis + 2], anchor.box[axis] - item.box[axis + 2], 0.0) for axis in (0, 1)
        ]
        return bool(np.hypot(*gaps) <= (0.2 if lenient else 0.08) + 1e-9)
    way = link.replace("to the ", "").replace("over", "above").replace("under", "below")
    right, down = x - from_x, y - from_y
    along, across = {
        "left of": (-right, down),
        "right of": (right, down),
        "above": (-down, right),
        "below": (down, right),
    }[way]
    if lenient:
        return along >= 0.04 - 1e-9 and abs(across) <= 0.8 * along + 0.08 + 1e-9
    return along >= 0.12 - 1e-9 and abs(across) <= 0.7 * along + 1e-9


def scene(random: np.random.Generator) -> list[Thing]:
    """Return some things that do not overlap, often several of one category."""
    cells = random.permutation(9)[: random.integers(2, 7)]
    things = []
    for cell in cells.tolist():
        x, y = 33 * (cell % 3) + int(random.integers(0, 8)), 33 * (cell // 3) + int(random.integers(0, 8))
        width, height = (int(side) for side in random.integers(12, 25, 2))
        colour = list(COLOURS.values())[int(random.integers(3))]
        things.append(Thing(str(random.choice(["dog", "dog", "cup", "bus"])), (x, y, x + width, y + height), colour))
    return things


def test_each_phrase_fits_its_object_strictly_and_no_other_even_leniently() -> None:
    random = np.random.default_rng(3)
    kinds: Counter[str] = Counter()
    for _ in range(250):
        objects = seen(*scene(random))
        for place, item in enumerate(objects):
            others = [*objects[:place], *objects[place + 1 :]]
            phrase = describe(random, item, others, over_specification=1.0)
            if phrase is not None:
                kinds.update([*(f"{kind} needed" for kind in phrase.needed), *phrase.redundant])
                assert place in read(phrase.text, objects, lenient=False), phrase
                assert read(phrase.text, objects, lenient=True) == [place], phrase
    assert min(kinds[kind] for kind in ("color needed", "place needed", "relation needed", "color", "place")) > 20


class TestOverSpecification:
    def test_without_it_an_only_object_is_just_named(self) -> None:
        [dog, bus] = seen(Thing("dog", (10, 10, 30, 30), colour=RED), Thing("bus", (50, 60, 95, 95)))
        found = phrases_for(dog, [bus], over_specification=0.0)
        assert {phrase.text for phrase in found} == {"dog", "the dog", "a dog"}
        assert all(not phrase.needed and not phrase.redundant for phrase in found)

    def test_each_kind_is_added_at_its_rate(self) -> None:
        """The dog has one colour, one size, two places and two relations, none of which is needed."""
        [dog, bus] = seen(Thing("dog", (10, 10, 30, 30), colour=RED), Thing("bus", (10, 35, 60, 95)))
        found = phrases_for(dog, [bus], 2000)
        share = {kind: np.mean([kind in each.redundant for each in found]) for kind in ("color", "place", "size")}
        assert share == pytest.approx({"color": 0.5, "place": 0.4, "size": 0.2}, abs=0.04)
        doubled = phrases_for(dog, [bus], 500, over_specification=2.0)
        assert all("color" in each.redundant for each in doubled)

    def test_what_is_needed_is_the_smallest_set(self) -> None:
        red, blue = seen(Thing("dog", (10, 10, 30, 30), colour=RED), Thing("dog", (12, 62, 32, 82), colour=BLUE))
        needs = {phrase.needed for phrase in phrases_for(red, [blue])}
        assert needs == {("color",), ("place",)}  # both are small and left


def test_objects_that_differ_in_nothing_get_no_phrase() -> None:
    first, second = seen(Thing("dog", (40, 40, 50, 60)), Thing("dog", (51, 40, 61, 60)))
    assert phrases_for(first, [second]) == []


def test_a_doubtful_object_is_told_apart_too() -> None:
    sure, doubtful = seen(Thing("dog", (5, 40, 25, 60)), Thing("dog", (75, 40, 95, 60), confidence=0.35))
    assert all(phrase.needed for phrase in phrases_for(sure, [doubtful]))


def test_people_wear_their_colour() -> None:
    [person] = seen(Thing("person", (30, 10, 60, 90), colour=BLUE))
    texts = [phrase.text for phrase in phrases_for(person, []) if "color" in phrase.redundant]
    assert texts and all(re.search(r"(in|wearing) blue", text) for text in texts)


def test_one_of_several_is_counted() -> None:
    dogs = seen(Thing("dog", (5, 5, 30, 30)), Thing("dog", (70, 5, 95, 30)), Thing("dog", (40, 70, 60, 95)))
    texts = {phrase.text for phrase in phrases_for(dogs[0], dogs[1:], 400, over_specification=0.0)}
    assert any(re.fullmatch(r"the \w+ one of the three dogs", text) for text in texts)


@pytest.mark.parametrize(
    ("noun", "several"),
    [
        ("dog", "dogs"),
        ("bus", "buses"),
        ("wine glass", "wine glasses"),
        ("knife", "knives"),
        ("sheep", "sheep"),
        ("stuffed animal", "stuffed animals"),
        ("kitty", "kitties"),
        ("toy", "toys"),
        ("scissors", "scissors"),
    ],
)
def test_plurals(noun: str, several: str) -> None:
    assert plural(noun) == several


@pytest.mark.parametrize(
    ("phrase", "noun", "full"),
    [
        ("red cup", "cup", "a red cup"),
        ("orange cup", "cup", "an orange cup"),
        ("left scissors", "scissors", "the left scissors"),
        ("brown luggage", "luggage", "the brown luggage"),
    ],
)
def test_articles(phrase: str, noun: str, full: str) -> None:
    assert with_indefinite(phrase, noun) == full


def test_every_noun_is_in_the_lexicon_under_its_category() -> None:
    lexicon = Lexicon.load()
    named = {noun: label for label in ("dining table", "teddy bear", "tv", "person") for noun in nouns_of(label)}
    assert {noun: lexicon.category(noun) for noun in named} == named
    shared = {"bike", "bag", "glass", "light"}  # they may mean several categories
    for key, nouns in _entries().items():
        for noun in set(nouns) - shared:
            found = lexicon.category(noun)
            assert found is not None and "".join(found.split()) == key, noun


def test_a_category_without_nouns_is_called_by_its_name() -> None:
    assert nouns_of("Garden_gnome") == ("garden gnome",)
    assert nouns_of("motorbike") == nouns_of("motorcycle")


def test_objects_of_boxes_alone_are_told_apart_by_their_boxes() -> None:
    twice = [Thing("dog", (1, 1, 40, 40)), Thing("dog", (2, 1, 40, 40)), Thing("dog", (50, 1, 90, 40))]
    alone = replace(candidates("image", twice), masks=None)
    assert len(objects_of(alone, LABELS, RECIPE, colours=False)) == 2
