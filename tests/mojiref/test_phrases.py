"""Every phrase is true of exactly one object, and its recorded attributes are right."""

from __future__ import annotations

from collections import Counter
from math import sqrt

import numpy as np
import pytest
from helpers.checker import FLAVOURS, SPLITS, MojiRefFiles, errors_of, possible_kinds

from aligncat.mojiref.attributes import Item
from aligncat.mojiref.grammar import Flavour, describe

# From docs/mojiref.md: the kinds that a flavour mentions, and the rate of each without need.
RATES: dict[Flavour, dict[str, float]] = {
    "mojiref": {"color": 0.5, "place": 0.4, "size": 0.2, "relation": 0.2},
    "mojiref+": {"color": 0.5, "size": 0.2, "relation": 0.2},
    "mojirefg": {"color": 0.5, "place": 0.4, "size": 0.2, "relation": 0.5},
}


def test_every_phrase_fits_exactly_one_object_and_its_recorded_needs_are_right(
    flavours: dict[str, MojiRefFiles],
) -> None:
    checked: Counter[tuple[str, str]] = Counter()
    errors = []
    for flavour, files in flavours.items():
        for ref, sentence in files.sentences():
            checked[flavour, ref["split"]] += 1
            errors += errors_of(files, ref, sentence)
    assert not errors, "\n".join(errors[:20])
    assert set(checked) == {(flavour, split) for flavour in FLAVOURS for split in SPLITS}
    assert checked.total() >= 1_000 and min(checked.values()) >= 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sent": "the moon"}, "cannot be read"),
        ({"needed": [], "kind": "category"}, "needs more than|are recorded"),
        ({"kind": "shape"}, "the recorded kind is shape"),
        ({"redundant": ["size", "place", "color", "relation"]}, "are recorded"),
    ],
)
def test_the_check_finds_each_error(flavours: dict[str, MojiRefFiles], change: dict[str, object], message: str) -> None:
    files = flavours["mojiref"]
    ref, sentence = next((ref, sentence) for ref, sentence in files.sentences() if sentence["needed"])
    assert not errors_of(files, ref, sentence)
    with pytest.raises(AssertionError, match=message):
        assert not errors_of(files, ref, {**sentence, **change})


def test_a_phrase_for_another_object_is_an_error(flavours: dict[str, MojiRefFiles]) -> None:
    for files in flavours.values():
        refs = {ref["ann_id"]: ref for ref in files.refs}
        pairs = [(a, b) for a in refs.values() for b in refs.values() if a is not b and a["image_id"] == b["image_id"]]
        assert len(pairs) > 100
        for one, other in pairs:
            assert errors_of(files, one, other["sentences"][0])


def test_a_flavour_has_only_its_kinds_and_its_style(flavours: dict[str, MojiRefFiles]) -> None:
    words: dict[str, float] = {}
    for flavour, files in flavours.items():
        sentences = [sentence for _, sentence in files.sentences()]
        kinds = {kind for sentence in sentences for kind in (*sentence["needed"], *sentence["redundant"])}
        assert kinds == set(RATES[flavour])
        texts = [sentence["sent"] for sentence in sentences]
        assert all(text.startswith(("the ", "a ", "an ")) == (flavour == "mojirefg") for text in texts)
        words[flavour] = float(np.mean([len(text.split()) for text in texts]))
    assert words["mojirefg"] > 1.5 * words["mojiref"]


def test_every_reported_kind_occurs_with_and_without_need(flavours: dict[str, MojiRefFiles]) -> None:
    for flavour, files in flavours.items():
        needed = Counter(kind for _, sentence in files.sentences() for kind in sentence["needed"])
        redundant = Counter(kind for _, sentence in files.sentences() for kind in sentence["redundant"])
        for kind in RATES[flavour]:
            assert needed[kind] >= 20 and redundant[kind] >= 20, (flavour, kind)


def items_of(files: MojiRefFiles) -> dict[int, list[Item]]:
    """Return image id -> its objects as the generator's items, in the order of `files.scenes`."""
    names = {row["id"]: row["name"] for row in files.instances["categories"]}
    sizes = {row["id"]: (row["width"], row["height"]) for row in files.instances["images"]}
    items: dict[int, list[Item]] = {image_id: [] for image_id in sizes}
    for row in files.instances["annotations"]:
        x, y, w, h = row["bbox"]
        color, nouns = row["attributes"]["color"], tuple(row["attributes"]["nouns"])
        item = Item(names[row["category_id"]], nouns, color, (x, y, x + w, y + h), sizes[row["image_id"]])
        items[row["image_id"]].append(item)
    return items


@pytest.mark.parametrize("redundancy", [0.5, 1.0])
@pytest.mark.parametrize("flavour", RATES)
def test_phrases_over_specify_at_the_documented_rates(
    flavours: dict[str, MojiRefFiles], flavour: Flavour, redundancy: float
) -> None:
    files = flavours[flavour]
    rng = np.random.default_rng(7)
    could: Counter[str] = Counter()
    did: Counter[str] = Counter()
    for image_id, items in items_of(files).items():
        scene = files.scenes[image_id]
        for number, item in enumerate(items):
            others = items[:number] + items[number + 1 :]
            phrase = describe(rng, flavour, item, others, redundancy=redundancy)
            if phrase is not None:
                spare = (possible_kinds(scene[number], scene) & set(RATES[flavour])) - set(phrase.needed)
                assert set(phrase.redundant) <= spare
                could.update(spare)
                did.update(phrase.redundant)
    for kind, rate in RATES[flavour].items():
        expected = could[kind] * rate * redundancy
        spread = sqrt(expected * (1 - rate * redundancy))
        assert could[kind] > 100
        assert abs(did[kind] - expected) <= 4 * spread, f"{kind}: {did[kind]} of {could[kind]}, not {expected:.0f}"
