"""gmojiref: phrases that mean one object, several or none, in gRefCOCO's files."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.checker import SPLITS
from helpers.checker_any_number import AnyNumberFiles, errors_of_any_number

from aligncat.api.evaluate import evaluate
from aligncat.api.extract import extract
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.datasets.prepare.check import check_dataset
from aligncat.grounder.folder import SHIPPED
from aligncat.language.several import several_of
from aligncat.mojiref.any_number import describe_near_miss, describe_several, groups_of
from aligncat.mojiref.attributes import Item
from aligncat.mojiref.build import make_mojiref
from aligncat.mojiref.grammar import FLAVOURS, describe
from aligncat.mojiref.plurals import plural_of
from aligncat.mojiref.recipe import MojiRefConfig

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools

Sentence = dict[str, Any]


@pytest.fixture(scope="module")
def files(mojiref: Path) -> AnyNumberFiles:
    return AnyNumberFiles(mojiref)


def targets(ref: dict[str, Any]) -> str:
    return "none" if ref["no_target"] else "one" if len(ref["ann_id"]) == 1 else "several"


def item(category: str, color: str | None, box: tuple[int, int, int, int], *nouns: str) -> Item:
    """An object of a photo of 200 x 200 pixels."""
    return Item(category, nouns or (category,), color, tuple(map(float, box)), (200, 200))  # type: ignore[arg-type]


LEFT = item("dog", "red", (0, 80, 40, 120))
LEFT_TOO = item("dog", "blue", (10, 20, 50, 60))
RIGHT = item("dog", "red", (160, 80, 200, 120))
CAR = item("car", "green", (80, 80, 120, 120))


def test_every_phrase_fits_exactly_its_objects_and_its_recorded_needs_are_right(files: AnyNumberFiles) -> None:
    checked: Counter[tuple[str, str]] = Counter()
    errors = []
    for ref, sentence in files.sentences():
        checked[targets(ref), ref["split"]] += 1
        errors += errors_of_any_number(files, ref, sentence)
    assert not errors, "\n".join(errors[:20])
    assert set(checked) == {(number, split) for number in ("one", "several", "none") for split in SPLITS}
    assert checked.total() >= 1_000 and min(checked.values()) >= 8


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("several", {"sent": "the moons"}, "no plural noun"),
        ("several", {"kind": "category"}, "the recorded kind is category"),
        ("several", {"needed": ["color"]}, "are recorded"),
        ("several", lambda old: {"sent": f"the seven {old.removeprefix('both ')}"}, "says that there are 7"),
        ("none", {"kind": "none+color"}, "the recorded kind is none+color"),
        ("none+place", {"needed": [], "kind": "none"}, "may mean"),
        ("none+place", lambda old: {"sent": old.replace("left", "right")}, "is not clearly false"),
    ],
)
def test_the_check_finds_each_error(
    files: AnyNumberFiles, kind: str, change: Sentence | Callable[[str], Sentence], message: str
) -> None:
    changed = []
    for ref, sentence in files.sentences():
        if sentence["kind"] == kind and (not callable(change) or sentence["sent"].startswith(("both", "left"))):
            new = {**sentence, **(change(sentence["sent"]) if callable(change) else change)}
            changed += errors_of_any_number(files, ref, new)
    assert any(message in error for error in changed), changed[:3]


def test_a_phrase_for_other_objects_of_the_scene_is_an_error(files: AnyNumberFiles) -> None:
    refs = [ref for ref in files.refs if not ref["no_target"]]
    pairs = [(a, b) for a in refs for b in refs if a["image_id"] == b["image_id"] and a["ann_id"] != b["ann_id"]]
    assert sum(len(a["ann_id"]) > 1 and len(b["ann_id"]) > 1 for a, b in pairs) >= 10
    for one, other in pairs:
        assert errors_of_any_number(files, one, other["sentences"][0])
        assert errors_of_any_number(
            files, {**one, "ann_id": [-1], "category_id": [-1], "no_target": True}, one["sentences"][0]
        )


def test_a_tenth_of_the_phrases_means_nothing_and_over_a_quarter_several(files: AnyNumberFiles) -> None:
    shares = Counter(targets(ref) for ref, _ in files.sentences())
    total = shares.total()
    # As docs/mojiref.md says; four standard deviations of a draw.
    for number, share in (("none", 0.12), ("several", 0.27)):
        assert abs(shares[number] / total - share) <= 4 * np.sqrt(share * (1 - share) / total), shares
    kinds = Counter(sentence["kind"] for ref, sentence in files.sentences() if ref["no_target"])
    assert abs(kinds["none"] / kinds.total() - 0.5) <= 4 * np.sqrt(0.25 / kinds.total())
    assert set(kinds) == {"none", "none+color", "none+size", "none+place"}


def test_none_is_one_sentence_a_row_and_no_other_row_has_it(files: AnyNumberFiles) -> None:
    for ref in files.refs:
        assert not ref["no_target"] or len(ref["sentences"]) == 1
    texts = Counter((ref["image_id"], sentence["sent"]) for ref, sentence in files.sentences())
    assert set(texts.values()) == {1}


def test_a_phrase_of_another_image_is_from_the_same_split(files: AnyNumberFiles) -> None:
    own = {
        split: {
            sentence["sent"] for ref, sentence in files.sentences() if ref["split"] == split and ref["ann_id"] != [-1]
        }
        for split in SPLITS
    }
    for ref, sentence in files.sentences():
        assert sentence["kind"] != "none" or sentence["sent"] in own[ref["split"]]


def test_the_words_for_several_are_understood_as_a_plural(files: AnyNumberFiles) -> None:
    for ref, sentence in files.sentences():
        # "Glasses" are spectacles to the rules of several.py.
        if not ref["no_target"] and "glasses" not in sentence["sent"].split():
            found = several_of(sentence["sent"])
            assert (found is not None) == (len(ref["ann_id"]) > 1), sentence["sent"]
            assert found is None or found.count in (None, len(ref["ann_id"])), sentence["sent"]


@pytest.mark.parametrize("split", SPLITS)
def test_the_reader_of_grefcoco_reads_it(mojiref: Path, files: AnyNumberFiles, split: str) -> None:
    config = DataConfig(mojiref, "gmojiref")
    written = [(ref, sentence) for ref, sentence in files.sentences() if ref["split"] == split]
    read = load_split(config, split)
    assert [e.text for e in read.expressions] == [sentence["sent"] for _, sentence in written]
    for expression, (ref, sentence) in zip(read.expressions, written, strict=True):
        assert (expression.kind, list(expression.needed)) == (sentence["kind"], sentence["needed"])
        assert list(expression.redundant) == sentence["redundant"]
        assert expression.no_target == (ref["ann_id"] == [-1])
        assert (expression.category is None) == expression.no_target
    boxes = {row["id"]: row["bbox"] for row in files.instances["annotations"]}
    truth = load_truth(config, split)
    assert set(truth) == {expression.referent_id for expression in read.expressions}
    for ref, _ in written:
        of_ref = [[x, y, x + w, y + h] for x, y, w, h in (boxes[n] for n in ref["ann_id"] if n != -1)]
        assert truth[str(ref["ref_id"])].boxes.tolist() == of_ref


def test_data_check_finds_no_fault(mojiref: Path) -> None:
    report = check_dataset(DataConfig(mojiref, "gmojiref"))
    assert not report.problems and not report.missing
    assert [check.split for check in report.splits] == list(SPLITS)


def test_annotations_are_those_of_the_other_flavours(mojiref: Path) -> None:
    one, other = ((mojiref / name / "instances.json").read_bytes() for name in ("gmojiref", "mojiref"))
    assert one == other


def test_the_grammar_of_the_other_flavours_says_what_it_said_before() -> None:
    """The digest was made before gmojiref was there; the phrases decide the bytes of the other flavours' files."""
    size = (240, 224)
    things = [
        ("dog", ("dog", "puppy"), "brown", (10, 20, 60, 80)),
        ("dog", ("dog", "puppy"), "red", (150, 30, 240, 130)),
        ("dog", ("dog", "puppy"), None, (100, 150, 150, 200)),
        ("person", ("man", "guy", "person"), "blue", (5, 110, 70, 220)),
        ("car", ("car",), "red", (160, 150, 230, 215)),
    ]
    items = [Item(*thing, size) for thing in things]
    said = []
    for flavour in FLAVOURS:
        rng = np.random.default_rng(5)
        for _ in range(40):
            said += [describe(rng, flavour, each, items[:n] + items[n + 1 :]) for n, each in enumerate(items)]
    digest = hashlib.sha256("\n".join(map(str, said)).encode()).hexdigest()
    assert digest == "7d7cf9ff9caf6ad94230d5fb2b29a666a8945a14dd19f7d4d8c38746d890e904"


def test_with_one_scene_nothing_is_borrowed_from_another(tmp_path: Path) -> None:
    root = make_mojiref(out=tmp_path / "one", recipe=MojiRefConfig(train=1, val=1, test=1, redundancy=0.0))
    rows = json.loads((root / "gmojiref" / "grefs(unc).json").read_text())
    assert rows and not [s for row in rows for s in row["sentences"] if s["kind"] == "none"]


class TestGroups:
    ALL = (True,) * 4

    def test_a_group_can_be_told_from_the_others_of_its_category(self) -> None:
        # All dogs, the red ones, and the two on the left. Nothing is true of only the second and the third dog.
        assert groups_of([LEFT, LEFT_TOO, RIGHT, CAR], self.ALL) == [(0, 1), (0, 2), (0, 1, 2)]

    def test_a_colour_that_a_viewer_may_see_in_another_object_tells_nothing_apart(self) -> None:
        mixed = replace(LEFT_TOO, color=None)
        assert groups_of([LEFT, mixed, RIGHT, CAR], self.ALL) == [(0, 1), (0, 1, 2)]

    def test_one_object_or_a_category_that_the_split_leaves_out_is_no_group(self) -> None:
        assert groups_of([LEFT, CAR], (True, True)) == []
        assert groups_of([LEFT, RIGHT], (False, False)) == []

    def test_objects_without_a_common_noun_are_no_group(self) -> None:
        people = [replace(LEFT, category="person", nouns=(noun,)) for noun in ("policeman", "baby")]
        assert groups_of(people, (True, True)) == []

    def test_a_phrase_for_several(self) -> None:
        scene = [LEFT, LEFT_TOO, RIGHT, CAR]
        rng = np.random.default_rng(0)
        said = {describe_several(rng, scene, (0, 2), redundancy=0.0) for _ in range(200)}
        assert {phrase.text for phrase in said if phrase} == {
            f"{count}red dogs" for count in ("", "the ", "both ", "two ", "the two ")
        }
        assert {(phrase.needed, phrase.redundant) for phrase in said if phrase} == {(("color",), ())}
        assert describe_several(rng, scene, (1, 2), redundancy=0.0) is None

    def test_sheep_are_counted(self) -> None:
        sheep = [replace(each, category="sheep", nouns=("sheep",)) for each in (LEFT, LEFT_TOO, RIGHT)]
        rng = np.random.default_rng(0)
        said = {describe_several(rng, sheep, (0, 1, 2), redundancy=0.0) for _ in range(100)}
        assert {phrase.text for phrase in said if phrase} == {"all sheep", "three sheep", "the three sheep"}


class TestNearMisses:
    def test_a_near_miss_is_false_by_one_attribute(self) -> None:
        scene = [LEFT, replace(RIGHT, color="blue"), CAR]
        rng = np.random.default_rng(0)
        allowed = (True, True, False)
        said = [describe_near_miss(rng, scene, allowed, redundancy=0.0) for _ in range(600)]
        texts = {(phrase.text, *phrase.needed) for phrase in said if phrase}
        colors = {f"{color} dog" for color in ("orange", "yellow", "green", "purple", "pink", "brown")}
        places = {"top dog", "dog on top", "dog at the top", "bottom dog", "dog on bottom", "dog at the bottom"}
        places |= {"middle dog", "dog in middle", "dog in the middle"}
        assert texts == {
            *((text, "color") for text in colors),
            *((text, "size") for text in ("big dog", "large dog")),
            *((text, "place") for text in places),
        }

    def test_what_is_nearly_true_is_not_called_false(self) -> None:
        # x is 0.42, so "left" is not quite false; an extent of 0.35 is neither big nor small, nor far from big.
        dog = item("dog", None, (49, 60, 119, 130))
        said = {describe_near_miss(np.random.default_rng(seed), [dog], [True], redundancy=0.0) for seed in range(100)}
        texts = {phrase.text for phrase in said if phrase}
        assert {tuple(phrase.needed) for phrase in said if phrase} == {("size",), ("place",)}
        assert not any("left" in text or "middle" in text or "big" in text or "large" in text for text in texts)

    def test_an_object_that_may_have_the_same_name_counts(self) -> None:
        truck = item("truck", "red", (0, 0, 190, 190))
        said = {
            describe_near_miss(np.random.default_rng(seed), [CAR, truck], [True] * 2, redundancy=0.0)
            for seed in range(200)
        }
        texts = {phrase.text for phrase in said if phrase}
        assert "blue car" in texts and not {"red car", "green truck", "big car", "small truck"} & texts

    def test_a_scene_in_which_nothing_is_false_has_none(self) -> None:
        assert describe_near_miss(np.random.default_rng(0), [LEFT], [False], redundancy=1.0) is None


@pytest.mark.parametrize(
    ("noun", "plural"),
    [
        ("dog", "dogs"),
        ("old woman", "old women"),
        ("person", "people"),
        ("baby", "babies"),
        ("boy", "boys"),
        ("bus", "buses"),
        ("couch", "couches"),
        ("toothbrush", "toothbrushes"),
        ("knife", "knives"),
        ("computer mouse", "computer mice"),
        ("slice of pizza", "slices of pizza"),
        ("wine glass", "wine glasses"),
        ("glass", None),
        ("scissors", None),
    ],
)
def test_plurals(noun: str, plural: str | None) -> None:
    assert plural_of(noun) == plural


def test_the_shipped_grounder_is_measured_by_kind(mojiref: Path, files: AnyNumberFiles, tmp_path: Path) -> None:
    data = DataConfig(mojiref, "gmojiref")
    extract(out=tmp_path / "store", data=data, splits=("testB",), appearance=True)
    (answers,) = evaluate(grounder=SHIPPED, data=data, store=tmp_path / "store", splits=("testB",))
    assert answers.result.seen == "clean"
    written = [(ref, sentence) for ref, sentence in files.sentences() if ref["split"] == "testB"]
    counts = Counter(targets(ref) for ref, _ in written)
    metrics = answers.result.metrics
    assert metrics.sets is not None
    assert (metrics.sets.none, metrics.sets.several) == (counts["none"], counts["several"])
    # It refuses most phrases without a target, keeps most others, and finds more than a grounder that always names one.
    assert metrics.sets.n_acc > 0.6 and metrics.sets.t_acc > 0.8
    assert counts["one"] / len(written) < metrics.sets.precision <= 1
    assert metrics.sets.giou is not None and metrics.sets.ciou is not None
    kinds = Counter(sentence["kind"] for _, sentence in written)
    assert {kind: each.expressions for kind, each in metrics.by_kind.items()} == kinds
    assert all(each.sets is not None for each in metrics.by_kind.values())
