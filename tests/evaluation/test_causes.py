"""Causes of wrong answers, worked out by hand in one image of 20 x 10 pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.evaluation.answers import Answers, answers_table
from aligncat.evaluation.causes import CAUSES, MEANING, causes
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.outcomes import Outcomes, measure
from aligncat.evaluation.overlaps import Overlaps
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.results import Result
from aligncat.types import Choices, Expression, ImageRecord

LABELS = ("person", "dog", "cat")
LEFT, RIGHT = (0, 0, 10, 10), (10, 0, 20, 10)
# Candidates: the left person, a poor box of that person (IoU 0.4), the right object, and a box on no object.
BOXES = [LEFT, (0, 0, 4, 10), RIGHT, (8, 4, 12, 6)]
PERSON, POOR, OTHER, NOTHING = range(4)


def choices(
    choice: int, *, kept=(1, 1, 1, 1), predicted="person", having=(1, 1, 0, 0), matched=True, stages=2
) -> Choices:
    """Return the choice for one expression; without a predicted category there is no category filter."""
    kept = np.array([kept], dtype=bool)
    filtered = {} if predicted is None else {"class": np.array([having], dtype=np.float32)}
    fine = {"fine": np.zeros((1, 4), dtype=np.float32)} if stages == 2 else {}
    return Choices(
        choice=np.array([choice]),
        kept=kept,
        probabilities=(kept / kept.sum()).astype(np.float32),
        scores={**filtered, **fine, "global": np.zeros((1, 4), dtype=np.float32)},
        predicted=None if predicted is None else (predicted,),
        category_matched=np.array([matched]),
        word_weights=((("a", 0.25), ("person", 0.75)),),
    )


@pytest.fixture
def cause(make_store, make):
    """Return a function that finds the cause of one answer, whose referent is the left person."""

    def find(
        made: Choices,
        *,
        right="dog",
        classes=("person", "person", "dog", "cat"),
        boxes=BOXES,
        category="person",
        query=None,
    ):
        store = make_store([make.candidates("i1", boxes, classes)])
        objects = {"i1": (np.array([LEFT, RIGHT], dtype=float), ["person", right])}
        split = make.split([Expression("e", "r", "i1", "a person")])
        table = Overlaps.of(store, split, {"r": make.truth(LEFT, category)}, objects=objects)
        columns = np.array([[*(LABELS.index(name) for name in classes), -1]])
        [found] = causes(table, made, LABELS, columns, None if query is None else np.array([query]))
        return found

    return find


MISSED = [(0, 0, 3, 3), (0, 0, 4, 10), RIGHT, (8, 4, 12, 6)]


@pytest.mark.parametrize(
    ("made", "world", "expected"),
    [
        (choices(PERSON), {}, "right"),
        (choices(POOR), {}, "poor_mask"),
        # the right object was chosen, even though no candidate has a right box
        (choices(POOR), {"boxes": MISSED}, "poor_mask"),
        (choices(OTHER), {"boxes": MISSED}, "no_candidate"),
        (choices(OTHER), {"boxes": MISSED, "query": False}, "no_query"),
        (choices(OTHER), {"boxes": MISSED, "query": True}, "confidence_filter"),
        (choices(OTHER, kept=(0, 0, 1, 0), predicted="dog", having=(0, 0, 1, 0)), {}, "category_misread"),
        (
            choices(OTHER, kept=(0, 0, 1, 0), having=(0, 0, 1, 0)),
            {"classes": ("cat", "cat", "person", "cat"), "right": "person"},
            "class_misdetected",
        ),
        # no candidate had the category, so the filter dropped nothing
        (choices(NOTHING, having=(0, 0, 0, 0), predicted="cat", matched=False), {}, "wrong_category"),
        (choices(OTHER, kept=(0, 0, 1, 1), predicted=None), {}, "refinement"),
        # a single stage has no refined set to drop from
        (choices(OTHER, kept=(0, 0, 1, 1), predicted=None, stages=1), {}, "wrong_category"),
        (choices(OTHER, predicted=None), {}, "wrong_category"),
        (
            choices(OTHER, having=(1, 1, 1, 0)),
            {"right": "person", "classes": ("person",) * 3 + ("cat",)},
            "wrong_object",
        ),
        # the truth names no category: that of the most confident right candidate is used
        (choices(OTHER, predicted=None), {"category": None}, "wrong_category"),
        (
            choices(OTHER, having=(1, 1, 1, 0)),
            {"category": None, "classes": ("person",) * 3 + ("cat",)},
            "wrong_object",
        ),
        (
            choices(OTHER, kept=(0, 0, 1, 0), predicted="dog", having=(0, 0, 1, 0)),
            {"category": None},
            "category_misread",
        ),
    ],
)
def test_the_cause_is_the_first_stage_that_lost_the_referent(cause, made, world, expected):
    assert cause(made, **world) == expected


def test_a_split_in_which_no_image_has_a_candidate_has_causes_and_metrics(make_store, make):
    store = make_store(
        [make.candidates("i1", [], ()), make.candidates("i2", BOXES, ("person", "person", "dog", "cat"))]
    )
    images = {"i1": ImageRecord("i1", Path("i1.png"))}
    split = Split("toy", "val", "unc", images, (Expression("e", "r", "i1", "a person"),))
    truth = {"r": make.truth(LEFT, None)}
    table = Overlaps.of(store, split, truth)
    made = replace(choices(0, having=(0, 0, 0, 0), matched=False), kept=np.zeros((1, 4), bool))
    [row] = answers_table(Questions(split, truth, store, table), made).to_pylist()
    assert (row["choice"], row["right"], row["cause"], row["score"]) == (-1, False, "no_candidate", 0)
    assert measure(table, [-1]).rec == 0


def test_every_cause_is_explained():
    assert list(MEANING) == list(CAUSES)


@pytest.fixture
def answers(make_store, make) -> Answers:
    """Two expressions of one image, one right and one wrong."""
    store = make_store([make.candidates("i1", BOXES, ("person", "person", "dog", "cat"))])
    expressions = (
        Expression("e1", "left", "i1", "person", redundant=("place",)),
        Expression("e2", "right", "i1", "the dog on the right side there", needed=("place",)),
    )
    split = Split("toy", "val", "unc", {"i1": ImageRecord("i1", Path("i1.png"))}, expressions)
    truth = {"left": make.truth(LEFT, "person"), "right": make.truth(RIGHT, "dog", mask=False)}
    objects = {"i1": (np.array([LEFT, RIGHT, (0, 0, 2, 2)], dtype=float), ["person", "dog", "person"])}
    table = Overlaps.of(store, split, truth, objects=objects)
    made = Choices(
        choice=np.array([0, 0]),
        kept=np.array([[1, 1, 0, 1], [1, 0, 1, 0]], dtype=bool),
        probabilities=np.array([[0.5, 0.3, 0, 0.2], [0.75, 0, 0.25, 0]], dtype=np.float32),
        scores={"global": np.arange(8, dtype=np.float32).reshape(2, 4)},
        predicted=None,
        category_matched=np.array([True, True]),
        word_weights=((("person", 1.0),), ()),
    )
    result = Result("toy", "val", "unc", "hand", "by hand", "clean", 0, {}, measure(table, made.choice))
    return Answers(result, LABELS, {"grounder": None}, answers_table(Questions(split, truth, store, table), made))


def test_a_row_holds_everything_about_an_answer(answers):
    first, second = answers.table.to_pylist()
    assert (first["right"], first["cause"], first["box_iou"], first["mask_iou"]) == (True, "right", 1, 1)
    assert (second["right"], second["cause"], second["box_iou"], second["mask_iou"]) == (
        False,
        "wrong_category",
        0,
        None,
    )
    # the poor box has IoU 40 / 100 with the chosen one, so the probability counts only the choice
    assert first["score"] == pytest.approx(0.5) and second["score"] == pytest.approx(0.75)
    assert (first["same_category"], second["same_category"]) == (1, 0)
    # the kind is not recorded, so it follows from the other objects of the category
    assert (first["kind"], second["kind"]) == ("attribute", "category")
    assert (first["size"], first["length"], second["length"]) == (0.5, 1, 7)
    assert (first["width"], first["height"]) == (20, 10)
    assert first["boxes"][8:12] == list(RIGHT) and first["categories"] == [0, 0, 1, 2]
    assert first["kept"] == [True, True, False, True] and first["global_scores"] == [0, 1, 2, 3]
    assert first["class_scores"] is None and first["predicted_category"] is None and first["query_right"] is None
    assert first["words"] == ["person"] and second["words"] == []
    assert first["ious"] == pytest.approx([1, 0.4, 0, 4 / 104])
    assert first["image_path"] == str(Path("i1.png").absolute())


def test_saved_answers_load_unchanged(answers, tmp_path):
    answers.save(tmp_path / "answers.parquet")
    back = Answers.load(tmp_path / "answers.parquet")
    assert back.table.equals(answers.table)
    assert (back.result, back.labels, back.provenance) == (answers.result, answers.labels, answers.provenance)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no"])
def test_a_file_without_answers_is_refused(tmp_path, content):
    path = tmp_path / "answers.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"answers\.parquet does not hold answers"):
        Answers.load(path)


def test_another_parquet_file_is_refused(answers, tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(answers.table, tmp_path / "bare.parquet")
    with pytest.raises(DataError, match="does not hold answers"):
        Answers.load(tmp_path / "bare.parquet")
    Answers(answers.result, LABELS, {}, answers.table.drop(["cause"])).save(tmp_path / "old.parquet")
    with pytest.raises(DataError, match="another version"):
        Answers.load(tmp_path / "old.parquet")


def test_counts_by_slice_add_up_to_all_wrong_answers(answers):
    tables = error_tables(answers)
    assert tables["all"] == [{"slice": "all", "expressions": 2, "rec": 0.5, "wrong_category": 1}]
    assert tables["kind"] == [
        {"slice": "attribute", "expressions": 1, "rec": 1.0, "wrong_category": 0},
        {"slice": "category", "expressions": 1, "rec": 0.0, "wrong_category": 1},
    ]
    assert [row["slice"] for row in tables["category"]] == ["dog", "person"]
    assert [row["slice"] for row in tables["same_category"]] == ["0", "1"]
    assert [row["slice"] for row in tables["size"]] == ["20% and more"]
    assert [row["slice"] for row in tables["length"]] == ["1 to 2 words", "5 to 7 words"]
    for table in tables.values():
        assert sum(row["expressions"] for row in table) == 2
        assert sum(row["wrong_category"] for row in table) == 1


# The table of docs/experiments.md: the shares of errors that an answer with a given cause can count in.
SHARES_BY_CAUSE = {
    "right": {"right"},
    "poor_mask": {"out of reach", "other category", "same category"},
    "no_query": {"out of reach"},
    "confidence_filter": {"out of reach"},
    "no_candidate": {"out of reach"},
    "category_misread": {"other category", "same category"},
    "class_misdetected": {"other category", "same category"},
    "refinement": {"other category", "same category"},
    "wrong_category": {"other category"},
    "wrong_object": {"same category"},
}


def test_every_cause_counts_in_the_shares_listed_in_the_docs(make_store, make):
    rng = np.random.default_rng(0)
    images, objects, truth, expressions = [], {}, {}, []
    for i in range(400):
        (x1, y1, x2, y2), other = (
            [*corners.min(axis=0).tolist(), *(corners.max(axis=0) + 1).tolist()]
            for corners in rng.integers(0, (20, 10), size=(2, 2, 2))
        )
        steps = rng.integers(0, 9, 3).tolist()
        boxes = [*((x1, y1, min(x2 + 2 * step, 20), min(y2 + step, 10)) for step in steps), other]
        names = rng.choice(LABELS, 2).tolist()
        objects[f"i{i}"] = (np.array([(x1, y1, x2, y2), other], dtype=float), names)
        images.append(make.candidates(f"i{i}", boxes, rng.choice(LABELS, 4).tolist()))
        truth[f"r{i}"] = make.truth((x1, y1, x2, y2), names[0])
        expressions.append(Expression(f"e{i}", f"r{i}", f"i{i}", "it"))
    table = Overlaps.of(make_store(images), make.split(expressions), truth, objects=objects)
    predicted = tuple(rng.choice(LABELS, len(expressions)).tolist())
    columns = np.array([[*image.categories, -1] for image in images])
    having = np.array([[LABELS[c] == name for c in row[:-1]] for row, name in zip(columns, predicted, strict=True)])
    made = Choices(
        choice=rng.integers(0, 4, len(expressions)),
        kept=rng.random((len(expressions), 4)) < 0.7,
        probabilities=np.full((len(expressions), 4), 0.25, dtype=np.float32),
        scores={"class": having.astype(np.float32), "fine": np.zeros(having.shape, dtype=np.float32)},
        predicted=predicted,
        category_matched=having.any(axis=1),
        word_weights=((),) * len(expressions),
    )
    outcomes = Outcomes.of(table, made.choice)
    found: dict[str, set[str]] = {}
    for query_right in (None, rng.random(len(expressions)) < 0.5):
        for row, cause in enumerate(causes(table, made, LABELS, columns, query_right)):
            counts_in = outcomes.metrics(np.arange(len(expressions)) == row)
            shares = {
                "right": counts_in.rec,
                "out of reach": counts_in.errors.out_of_reach,
                "other category": counts_in.errors.other_category,
                "same category": counts_in.errors.same_category,
            }
            assert sum(shares.values()) == 1
            found.setdefault(cause, set()).update(name for name, share in shares.items() if share)
    assert found == SHARES_BY_CAUSE
