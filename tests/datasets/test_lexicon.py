from __future__ import annotations

import json
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from aligncat.datasets.categories import COCO_NAMES
from aligncat.datasets.lexicon import Lexicon
from aligncat.errors import DataError

REAL_TEXT = Path(__file__).resolve().parents[2].parent / "shared" / "real" / "refcocog_google_val_text.json"
COVERED, RIGHT = 0.85, 0.92


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


def test_a_very_long_phrase_has_a_category(lexicon: Lexicon) -> None:
    assert lexicon.category("very " * 20_000 + "red cat") == "cat"


def test_no_word_of_the_shipped_lexicon_has_two_meanings() -> None:
    tables = tomllib.loads(files("aligncat.datasets").joinpath("lexicon.toml").read_text(encoding="utf-8"))
    words = Counter(word for table in tables.values() for entries in table.values() for word in entries)
    assert [word for word, count in words.items() if count > 1] == []
    assert {category for table in tables.values() for category in table} <= set(COCO_NAMES)


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
        ("[synonyms]\n", r"mine\.toml: unknown key 'synonyms'; a lexicon has the tables \[names\] and \[hints\]"),
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
@pytest.mark.parametrize("half", [0, 1], ids=["images with even ids", "images with odd ids, held out"])
def test_most_categories_of_refcocogs_real_expressions_are_found(lexicon: Lexicon, half: int) -> None:
    rows = [row for row in json.loads(REAL_TEXT.read_text(encoding="utf-8")) if row["image_id"] % 2 == half]
    found = [(lexicon.category(row["expression"]), row["category"]) for row in rows]
    covered = [(ours, theirs) for ours, theirs in found if ours is not None]
    assert len(covered) >= COVERED * len(rows)
    assert sum(ours == theirs for ours, theirs in covered) >= RIGHT * len(covered)
