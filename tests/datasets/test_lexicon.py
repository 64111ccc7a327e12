from __future__ import annotations

import json
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.lexicon import Lexicon
from aligncat.errors import DataError

REAL_TEXT = Path(__file__).resolve().parents[2].parent / "shared" / "real" / "refcocog_google_val_text.json"
STYLE = Path(__file__).parent / "refcoco_style_phrases.tsv"
COVERED, RIGHT = 0.975, 0.95


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load()


@pytest.mark.parametrize("name", COCO_NAMES)
def test_every_category_is_known_by_its_own_name(lexicon: Lexicon, name: str) -> None:
    assert lexicon.category(f"the {name} on the left") == name


@pytest.mark.parametrize(
    ("phrase", "category"),
    [
        # The last noun of the first noun phrase.
        ("the woman", "person"),
        ("left person", "person"),
        ("Far-Right Chair!", "chair"),
        ("baseball player", "person"),
        ("laptop keyboard", "keyboard"),
        ("train conductor", "person"),
        ("man left", "person"),
        ("chair with a cat", "chair"),
        ("cat on a couch", "cat"),
        ("man w/ hat beside dog", "person"),
        ("the car that the man drives", "car"),
        ("the chair the man is sitting on", "chair"),
        ("the man who rides a horse", "person"),
        ("a man riding a horse", "person"),
        ("a man eats pizza", "person"),
        ("standing giraffe", "giraffe"),
        ("a parked car", "car"),
        ("man dressed in a tie", "person"),
        ("an airplane shaped kite", "kite"),
        ("a cat and a dog", "cat"),
        ("a brown and white dog", "dog"),
        ("the closest chair", "chair"),
        ("chair closest to the table", "chair"),
        ("an upside-down cup", "cup"),
        ("on the left, a dog", "dog"),
        ("this is a dog", "dog"),
        ("there is a cat on the bed", "cat"),
        # Entries of several words.
        ("teddy bear", "teddy bear"),
        ("brown bear", "bear"),
        ("hot dog with mustard", "hot dog"),
        ("tennis racket", "tennis racket"),
        ("pick up truck", "truck"),
        ("a glass of wine", "wine glass"),
        ("a glass of milk", "cup"),
        # Regular and irregular plurals.
        ("two zebras", "zebra"),
        ("the sandwiches", "sandwich"),
        ("three women", "person"),
        ("the puppies", "dog"),
        ("buses", "bus"),
        # The object of a measure or a part.
        ("bowl of soup", "bowl"),
        ("slice of pizza", "pizza"),
        ("a picture of a cat", "cat"),
        ("couple of zebras", "zebra"),
        ("the head of the giraffe", "giraffe"),
        ("one of the zebras", "zebra"),
        ("the back of the head of a man", "person"),
        ("two of the three elephants", "elephant"),
        # Genitives.
        ("woman's hand", "person"),
        ("the man's tie", "tie"),
        ("the man\N{RIGHT SINGLE QUOTATION MARK}s tie", "tie"),
        ("the man 's tie", "tie"),
        ("the man ' s tie", "tie"),
        ("the man's mother's phone", "cell phone"),
        ("giraffe's head", "giraffe"),
        ("man's hat", "person"),
        ("mans tie", "tie"),
        ("the man's dinner", None),
        ("the man's in the back", "person"),
        ("the man's standing on a bench", "person"),
        ("catcher's mitt", "baseball glove"),
        # Words that imply a person.
        ("a hand holding a pizza", "person"),
        ("red shirt", "person"),
        ("baseball cap", "person"),
        ("man wearing glasses", "person"),
        ("the one wearing glasses", "person"),
        ("the one who is on the bench", "person"),
        ("he is beside a dog", "person"),
        ("giraffe head", "giraffe"),
        ("dog in a sweater", "dog"),
        # Orange as a fruit and as a colour.
        ("an orange", "orange"),
        ("the orange on the left", "orange"),
        ("orange slices", "orange"),
        ("orange cat", "cat"),
        ("an orange and white boat", "boat"),
        ("black and orange bus", "bus"),
        ("umbrella orange and black", "umbrella"),
        ("orange shirt", "person"),
        ("the orange one", None),
        # No category.
        ("the one in red", None),
        ("the one on the left of the cow", None),
        ("the thing next to the dog", None),
        ("the left most object", None),
        ("left", None),
        ("white cloth behind the man", None),
        ("gobbledygook", None),
        ("??", None),
        ("", None),
        ("'s", None),
    ],
)
def test_a_phrase_names_its_category(lexicon: Lexicon, phrase: str, category: str | None) -> None:
    assert lexicon.category(phrase) == category


@pytest.mark.parametrize(
    ("phrase", "category"),
    [
        # The noun after a place.
        ("second from left guy", "person"),
        ("close to cam umbrella", "umbrella"),
        ("2nd from the right sheep", "sheep"),
        ("on far left cow", "cow"),
        ("third from the top donut", "donut"),
        ("closest to us surfboard", "surfboard"),
        ("far right in back chair", "chair"),
        ("next to the left zebra", "zebra"),
        # A landmark alone does not tell what stands by it.
        ("left of the man", None),
        ("to the right of the zebra", None),
        ("behind the man", None),
        ("next to the dog", None),
        ("next to the dog the cat", "cat"),
        ("front of the bus", "bus"),
        ("girl behind the man", "person"),
        ("second from left", None),
        ("close to camera", None),
        ("to the right of center", None),
        # The noun after a landmark.
        ("in front of the tv the dog", "dog"),
        ("behind the bench, a bicycle", "bicycle"),
        ("on the bench eating the pizza", "bench"),
        # Clothes after a place or a placeholder.
        ("third from left in blue shirt", "person"),
        ("the left one in the red jacket", "person"),
        ("the one in her hand", None),
        # A person whom a clause begins with.
        ("chair man is sitting in", "chair"),
        ("backpack guy is wearing", "backpack"),
        ("horse rider is wearing a hat", "person"),
        ("the fabric the man has", None),
        # Possessions.
        ("giraffe's neck", "giraffe"),
        ("left zebra's butt", "zebra"),
        ("zebras butt left", "zebra"),
        ("the cow 's ribs", "cow"),
        ("the man's towel rack", None),
        ("the dog's owner's phone", "cell phone"),
        ("giraffe mom on the right", "giraffe"),
        ("elephant baby", "elephant"),
        ("the mother", "person"),
        # A part on a thing.
        ("the tire on a motorcycle", "motorcycle"),
        ("handle on the fridge", "refrigerator"),
        ("shadow on the car", None),
        # Animals in clothes and compounds.
        ("the animal who is wearing a coat", None),
        ("a monkey in a red shirt", None),
        ("dvd player", None),
        ("desk lamp", None),
        ("ceiling fans", None),
        ("man with a pack of cards", "person"),
        ("kite flyer", "person"),
        ("range rover", "car"),
        ("record players under the tv", None),
        ("soccer player", "person"),
        ("pizza box", None),
        ("dog house on left", None),
        ("dog in a box", "dog"),
        ("jacket hanging on the chair", None),
        ("red clothed table", "dining table"),
        ("woman dressed in red", "person"),
        # A colour before a noun that nothing knows, or beside another colour.
        ("orange pig", None),
        ("big orange thingamajig", None),
        ("a yellow, orange, and white jeep", "car"),
        ("red and orange jeep", "car"),
        ("orange 3rd from left", "orange"),
        ("orange on the right", "orange"),
        # Furniture and cattle.
        ("armchair", "couch"),
        ("ottoman", "chair"),
        ("front pew", "bench"),
        ("white island in the kitchen", "dining table"),
        ("longhorn on left", "cow"),
        # Measures.
        ("one half of a sandwich", "sandwich"),
        ("plate of carrots", "carrot"),
        ("empty plate", "bowl"),
    ],
)
def test_the_head_noun_of_what_people_write(lexicon: Lexicon, phrase: str, category: str | None) -> None:
    assert lexicon.category(phrase) == category


@pytest.mark.parametrize(
    ("phrase", "category"),
    [
        *(("girafee", "giraffe"), ("left fridger", "refrigerator"), ("zerba in back", "zebra"), ("womn", "person")),
        *(("the elefant", "elephant"), ("secnd from left peron", "person"), ("firaffe", "giraffe")),
        *(("brocolly", "broccoli"), ("motercycles", "motorcycle"), ("umprella on left", "umbrella")),
        # Words of their own.
        *(("garden hose", None), ("ranger station", None), ("wooden box", None), ("table lamp", None), ("beats", None)),
        *(("the trail", None), ("shovel", None), ("candle", None), ("ladder", None), ("curtain", None)),
        *(("mirror", None), ("statue", None), ("pillar", None), ("cabinet", None), ("building", None)),
    ],
)
def test_a_misspelling_is_corrected_and_another_word_is_not(
    lexicon: Lexicon, phrase: str, category: str | None
) -> None:
    assert lexicon.category(phrase) == category


OWN = (
    *("forklift", "pallet", "hard hat", "safety_vest", "fire extinguisher", "traffic cone", "ladder", "wheelbarrow"),
    *("pigeon", "bike", "helmet", "baby stroller", "Euro-Pallet", "cherry", "brush", "tray", "glove box", "fox"),
)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("phrase", ["left {}", "the red {} next to the man", "{} in front of car", "2nd from left {}"])
def test_own_categories_are_known_by_their_names(name: str, phrase: str) -> None:
    lexicon = Lexicon.load(categories=OWN)
    word = name.lower().replace("_", " ")
    assert lexicon.category(phrase.format(word)) == name
    plural = {"pallet": "pallets", "cherry": "cherries", "brush": "brushes", "glove box": "glove boxes", "fox": "foxes"}
    assert lexicon.category(phrase.format(plural.get(word, f"{word}s"))) == name


def test_only_long_names_of_own_categories_are_corrected_to() -> None:
    lexicon = Lexicon.load(categories=["valve", "forklift"])
    assert [lexicon.category(text) for text in ("red value", "forkliff", "left zerba")] == [None, "forklift", "zebra"]


def test_own_categories_leave_cocos_words_alone() -> None:
    lexicon = Lexicon.load(categories=["forklift", "Person", "television"])
    assert [lexicon.category(text) for text in ("man", "tv", "zebra", "red shirt")] == [
        "person",
        "tv",
        "zebra",
        "person",
    ]


def test_a_file_has_the_last_word_on_own_categories(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[names]\ntruck = ["forklift"]\n[others]\nsigns = ["person crossing"]\n')
    lexicon = Lexicon.load(path, ["forklift"])
    assert lexicon.category("a forklift") == "truck"
    assert lexicon.category("person crossing on the right") is None


def test_most_categories_of_phrases_in_refcocos_style_are_found(lexicon: Lexicon) -> None:
    rows = [line.split("\t") for line in STYLE.read_text(encoding="utf-8").splitlines()[1:]]
    named = [(lexicon.category(phrase), category) for phrase, category in rows if category]
    assert sum(ours is not None for ours, _ in named) >= 0.95 * len(named)
    assert sum(ours == theirs for ours, theirs in named) >= 0.95 * len(named)
    assert [phrase for phrase, category in rows if not category and lexicon.category(phrase) is not None] == []


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("abe' s,.\u2019zrot")) | st.text(max_size=60))
def test_any_text_has_a_category_or_none(text: str) -> None:
    assert Lexicon.load().category(text) in {None, *COCO_NAMES}


def test_a_very_long_phrase_has_a_category(lexicon: Lexicon) -> None:
    assert lexicon.category("very " * 20_000 + "red cat") == "cat"


def test_no_word_of_the_shipped_lexicon_has_two_meanings() -> None:
    tables = tomllib.loads(files("aligncat.datasets").joinpath("lexicon.toml").read_text(encoding="utf-8"))
    words = Counter(word for table in tables.values() for entries in table.values() for word in entries)
    assert [word for word, count in words.items() if count > 1] == []
    assert {*tables["names"], *tables["hints"]} <= set(COCO_NAMES)


def test_a_file_adds_categories_and_changes_words(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[names]\nforklift = ["lift truck"]\nmotorcycle = ["bike"]\n[hints]\nforklift = ["fork"]\n')
    lexicon = Lexicon.load(path)
    assert lexicon.category("the lift trucks") == "forklift"
    assert lexicon.category("a red bike") == lexicon.category("two bikes") == "motorcycle"
    assert lexicon.category("a fork") == "forklift"
    assert lexicon.category("a fork on a table") == "forklift"
    assert lexicon.category("bicycle") == "bicycle"
    assert lexicon.category("a truck") == "truck"


def test_a_new_categorys_name_is_a_word_for_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[names]\nforklift = []\n")
    assert Lexicon.load(path).category("two forklifts") == "forklift"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[names\n", r"mine\.toml: not a TOML file .*line 1"),
        ("[synonyms]\n", r"mine\.toml: unknown key 'synonyms'; a lexicon has the tables \[names\] and \[hints\], and"),
        ("names = 3\n", r"mine\.toml: 'names' must be a table"),
        ('[names]\ncat = "kitty"\n', r"mine\.toml: names\.cat must be a list of words"),
        ("[names]\ncat = [1]\n", r"mine\.toml: names\.cat must be a list of words"),
        ('[hints]\ncat = ["??"]\n', r"mine\.toml: hints\.cat must be a list of words, each .* with letters"),
        ('[names]\n"?" = ["mark"]\n', r"mine\.toml: names\.\? must be a list of words"),
        (b"\xff\xfe", r"mine\.toml: cannot be read as UTF-8 text"),
        (None, r"mine\.toml: no such file"),
    ],
)
def test_a_bad_file_is_an_error_that_says_where(tmp_path: Path, content: str | bytes | None, message: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=message):
        Lexicon.load(path)


@pytest.mark.skipif(not REAL_TEXT.exists(), reason="RefCOCOg's expressions are not available")
@pytest.mark.parametrize(
    ("phrase", "category"),
    [
        ("the cup left of the plate of pizza", "pizza"),
        ("woman next to the white car", "car"),
        ("yogi by the cocktail", "wine glass"),  # the head is of no category
        ("food by the old man", "person"),
        ("in front of the tv the dog", "tv"),
        ("behind the man", "person"),
        ("left of the man", "person"),
        ("the man's tie", "person"),  # the tie is the head
        ("giraffe's neck", None),
        ("man on a horse left of the hat", "horse"),
        ("man between the dog and the car", "car"),
        ("the left one in the red shirt next to the bus", "bus"),
        ("second man from the left", None),
        ("big brown dog", None),
        ("dog left of the food", None),
        ("", None),
    ],
)
def test_the_second_object_of_a_phrase(lexicon: Lexicon, phrase: str, category: str | None) -> None:
    assert lexicon.second_category(phrase) == category


def test_most_categories_of_refcocogs_real_expressions_are_found(lexicon: Lexicon) -> None:
    rows = json.loads(REAL_TEXT.read_text(encoding="utf-8"))
    found = [(lexicon.category(row["expression"]), row["category"]) for row in rows]
    covered = [(ours, theirs) for ours, theirs in found if ours is not None]
    assert len(covered) >= COVERED * len(rows)
    assert sum(ours == theirs for ours, theirs in covered) >= RIGHT * len(covered)


@pytest.mark.parametrize(
    ("phrase", "words", "among"),
    [
        ("the beret", "beret", True),
        ("second beret from left", "beret", True),
        ("the beret on the man", "beret", True),
        ("man in a beret", "beret", False),
        ("cell phone", "cell phone", True),
        ("cell phone", "cell", False),
        ("tv stand", "stand", True),
        ("dog zorp", "zorp", True),
        ("red zorp mug", "zorp", False),
        ("a slice of zorp", "zorp", True),
        ("man zorping a ball", "zorping", False),
        ("girafee", "girafee", True),
        ("the man's zorp", "zorp", True),
        ("the zorp's hat", "zorps hat", True),
        ("the blorp's zorp's hat on the man", "blorps zorps hat", True),
        ("the zorp's hat", "zorps", False),
        ("the man's hat", "mans", False),
        ("the man that's on a zorp", "thats zorp", False),
        ("the red one", "red one", False),
        ("on the left", "left", False),
        ("the zorp", "", False),
    ],
)
def test_whether_the_noun_of_a_phrase_is_among_some_words(
    lexicon: Lexicon, phrase: str, words: str, among: bool
) -> None:
    assert lexicon.head_is_among(phrase, words.split()) is among


def test_the_noun_of_own_categories_may_be_among_some_words() -> None:
    own = Lexicon.load(categories=["safety valve"])
    assert own.head_is_among("left safety valve", ["valve"])
    assert not own.head_is_among("rusty safety valve", ["rusty"])


@settings(deadline=None)
@given(st.text(max_size=40), st.lists(st.text(max_size=8)))
def test_the_noun_of_any_text_is_not_among_words_that_it_lacks(lexicon: Lexicon, text: str, words: list[str]) -> None:
    assert not lexicon.head_is_among(text, ())
    if lexicon.head_is_among(text, words):
        assert any(word in text.lower() for word in words)
