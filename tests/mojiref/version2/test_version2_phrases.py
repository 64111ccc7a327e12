"""Every phrase of version 2 is true of exactly one object, and its recorded attributes are right."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from helpers.checker import FLAVOURS, SPLITS
from helpers.checker_version2 import KINDS, Version2Files, distance, errors_of, possible_kinds, spelling_errors

from aligncat.mojiref.grammar import Flavour
from aligncat.mojiref.version2 import spelling
from aligncat.mojiref.version2.attributes import Item
from aligncat.mojiref.version2.grammar import Describer

# From docs/mojiref.md.
FLAVOUR_KINDS: dict[Flavour, set[str]] = {
    "mojiref": set(KINDS),
    "mojiref+": set(KINDS) - {"place", "order"},
    "mojirefg": set(KINDS),
}


def test_every_phrase_fits_exactly_one_object_and_its_recorded_needs_are_right(
    flavours2: dict[str, Version2Files],
) -> None:
    checked: Counter[tuple[str, str]] = Counter()
    errors = []
    for flavour, files in flavours2.items():
        for ref, sentence in files.sentences():
            checked[flavour, ref["split"]] += 1
            errors += errors_of(files, ref, sentence)
    assert not errors, "\n".join(errors[:20])
    assert set(checked) == {(flavour, split) for flavour in FLAVOURS for split in SPLITS}
    assert checked.total() >= 1_800 and min(checked.values()) >= 40


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sent": "the moon", "correct": "the moon"}, "cannot be read"),
        ({"needed": [], "kind": "category"}, "are recorded"),
        ({"kind": "shape"}, "the recorded kind is shape"),
        ({"redundant": list(KINDS)}, "are recorded"),
    ],
)
def test_the_check_finds_each_error(
    flavours2: dict[str, Version2Files], change: dict[str, object], message: str
) -> None:
    files = flavours2["mojiref"]
    ref, sentence = next((ref, sentence) for ref, sentence in files.sentences() if sentence["needed"])
    assert not errors_of(files, ref, sentence)
    with pytest.raises(AssertionError, match=message):
        assert not errors_of(files, ref, {**sentence, **change})


def test_a_phrase_for_another_object_is_an_error(flavours2: dict[str, Version2Files]) -> None:
    for files in flavours2.values():
        pairs = [(a, b) for a in files.refs for b in files.refs if a is not b and a["image_id"] == b["image_id"]]
        assert len(pairs) > 100
        for one, other in pairs:
            assert errors_of(files, one, other["sentences"][0])


def test_a_flavour_has_only_its_kinds_and_its_style(flavours2: dict[str, Version2Files]) -> None:
    for flavour, files in flavours2.items():
        sentences = [sentence for _, sentence in files.sentences()]
        kinds = FLAVOUR_KINDS[flavour]  # type: ignore[index]
        for key in ("needed", "redundant"):
            counts = Counter(kind for sentence in sentences for kind in sentence[key])
            # An order is seldom added: it must be the referent's in both readings.
            assert set(counts) | {"order"} & kinds == kinds, (flavour, key)
        texts = [sentence.get("correct", sentence["sent"]) for sentence in sentences]
        assert all(text.startswith(("the ", "a ", "an ")) == (flavour == "mojirefg") for text in texts)
    assert max(len(sentence["needed"]) for files in flavours2.values() for _, sentence in files.sentences()) >= 2


def test_people_use_many_nouns(flavours2: dict[str, Version2Files]) -> None:
    files = flavours2["mojiref"]
    said = Counter(files.parser_2.parse(s.get("correct", s["sent"])).noun for _, s in files.sentences())
    assert len(said) > 150
    assert said.most_common(1)[0][1] < 0.1 * said.total()


def test_misspellings_have_their_rate_and_one_correction(flavours2: dict[str, Version2Files]) -> None:
    vocabulary = spelling.vocabulary()
    sentences = [sentence for files in flavours2.values() for _, sentence in files.sentences()]
    misspelt = [sentence for sentence in sentences if "correct" in sentence]
    assert not [error for sentence in misspelt for error in spelling_errors(sentence, vocabulary)]
    # Short words such as "car" alone are not misspelt, and a misspelt phrase is never a repeated one.
    assert 0.03 < len(misspelt) / len(sentences) < 0.08
    assert all(sentence["raw"] == sentence["sent"] for sentence in sentences)


def test_the_usual_misspellings_are_nearest_to_their_word() -> None:
    vocabulary = spelling.vocabulary()
    for word, misspellings in spelling.USUAL.items():
        assert word in vocabulary
        for misspelt in misspellings:
            assert distance(word, misspelt) <= 2
            assert not spelling_errors({"sent": misspelt, "correct": word}, vocabulary)


def items_of(files: Version2Files) -> dict[int, list[Item]]:
    """Return image id -> its objects as the generator's items, in the order of `files.things`."""
    sizes = {row["id"]: (row["width"], row["height"]) for row in files.instances["images"]}
    items: dict[int, list[Item]] = {image_id: [] for image_id in sizes}
    for row, thing in zip(
        files.instances["annotations"], (t for things in files.things.values() for t in things), strict=True
    ):
        x, y, w, h = row["bbox"]
        own = row["attributes"]
        items[row["image_id"]].append(
            Item(
                thing.category,
                tuple(own["nouns"]),
                own["color"],
                (x, y, x + w, y + h),
                sizes[row["image_id"]],
                own["texture"],
                tuple(own["wears"]),
                tuple(own["may_wear"]),
                own["does"],
            )
        )
    return items


@pytest.mark.parametrize("rate", [0.0, 0.33, 1.0])
@pytest.mark.parametrize("flavour", FLAVOUR_KINDS)
def test_phrases_say_more_than_needed_at_the_given_rate(
    flavours2: dict[str, Version2Files], flavour: Flavour, rate: float
) -> None:
    files = flavours2[flavour]
    rng = np.random.default_rng(7)
    could = did = 0
    for image_id, items in items_of(files).items():
        scene = files.things[image_id]
        for number, item in enumerate(items):
            describer = Describer(item, tuple(items[:number] + items[number + 1 :]), flavour)
            phrase = describer.describe(rng, over_specification=rate)
            if phrase is None or "order" in phrase.needed:
                continue
            spare = (possible_kinds(scene[number], scene) & FLAVOUR_KINDS[flavour]) - set(phrase.needed)
            assert {*phrase.needed, *phrase.redundant} <= FLAVOUR_KINDS[flavour]
            if spare:
                could += 1
                did += bool(phrase.redundant)
    assert could > 250
    assert abs(did - rate * could) <= 4 * sqrt(rate * (1 - rate) * could)


def test_colour_is_the_most_frequent_of_what_is_said_without_need(flavours2: dict[str, Version2Files]) -> None:
    for files in flavours2.values():
        counts = Counter(kind for _, sentence in files.sentences() for kind in sentence["redundant"])
        assert counts["color"] > 1.5 * counts["size"]
