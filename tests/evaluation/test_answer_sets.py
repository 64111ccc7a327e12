"""Answers of any number of objects against any number of targets, by hand and by an independent implementation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pycocotools import mask as coco_mask

from aligncat.datasets.split import Split
from aligncat.errors import DataError
from aligncat.evaluation.answer_sets import AnswerSets, SetMetrics, box_f1, named_candidates
from aligncat.evaluation.answer_targets import chose_right, named_in, targets_of
from aligncat.evaluation.answers import Answers, answers_table
from aligncat.evaluation.causes import causes
from aligncat.evaluation.error_tables import error_tables
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.outcomes import measure
from aligncat.evaluation.overlaps import Overlaps
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.results import Result
from aligncat.evaluation.staircase import staircase
from aligncat.evaluation.stored_metrics import read_metrics
from aligncat.geometry import encode_mask
from aligncat.types import Choices, Expression, ImageRecord, Truth

LABELS = ("person", "dog", "cat")
WIDTH, HEIGHT = 20, 10
LEFT, RIGHT, SMALL = (0, 0, 10, 10), (10, 0, 20, 10), (0, 0, 5, 4)
BOXES = [LEFT, RIGHT, SMALL]


def choices_of(choice: list[int], **other: Any) -> Choices:
    count = len(choice)
    return Choices(
        choice=np.array(choice, dtype=np.int64),
        kept=np.ones((count, 3), dtype=bool),
        probabilities=np.full((count, 3), 1 / 3, dtype=np.float32),
        scores={"global": np.zeros((count, 3), dtype=np.float32)},
        predicted=None,
        category_matched=np.ones(count, dtype=bool),
        word_weights=((),) * count,
        **other,
    )


def painted(boxes: Sequence[Sequence[int]]) -> np.ndarray:
    canvas = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        canvas[y1:y2, x1:x2] = True
    return canvas


def targets(*boxes: tuple[int, int, int, int], masks: bool = True) -> Truth:
    drawn = tuple(encode_mask(painted([box])) for box in boxes) if masks else None
    return Truth(np.array(boxes, dtype=np.float64).reshape(-1, 4), drawn, "person" if boxes else None)


@pytest.fixture
def ask(make_store: Callable[..., Any], make: Any) -> Callable[..., Questions]:
    """Return a function that makes questions about one image, whose candidates are LEFT, RIGHT and SMALL."""

    def build(truths: list[Truth]) -> Questions:
        expressions = tuple(Expression(f"e{n}", f"r{n}", "i1", f"phrase {n}") for n in range(len(truths)))
        split = Split("toy", "val", None, {"i1": ImageRecord("i1", Path("i1.png"))}, expressions)
        truth = {f"r{n}": each for n, each in enumerate(truths)}
        store = make_store([make.candidates("i1", BOXES, ["person", "person", "dog"])])
        return Questions(split, truth, store, Overlaps.of(store, split, truth))

    return build


def several(*rows: tuple[int, ...]) -> np.ndarray:
    made = np.zeros((len(rows), 3), dtype=bool)
    for row, named in enumerate(rows):
        made[row, list(named)] = True
    return made


# The six phrases of the hand calculation: what they mean, what is named.
#   0  nothing               nothing (match .1)   right      I 0    U 0    IoU 1
#   1  nothing               LEFT                 wrong      I 0    U 100  IoU 0
#   2  LEFT                  LEFT                 right      I 100  U 100  IoU 1
#   3  LEFT                  nothing (match .4)   wrong      I 0    U 100  IoU 0
#   4  LEFT and RIGHT        both                 right      I 200  U 200  IoU 1
#   5  LEFT and RIGHT        LEFT                 F1 2/3     I 100  U 200  IoU 1/2
TRUTHS = [targets(), targets(), targets(LEFT), targets(LEFT), targets(LEFT, RIGHT), targets(LEFT, RIGHT)]
CHOICES = choices_of(
    [0, 0, 0, 0, 0, 0],
    match=np.array([0.1, 0.9, 0.8, 0.4, 0.9, 0.5], dtype=np.float32),
    several=several((), (), (), (), (0, 1), ()),
)


def test_grefcocos_metrics_by_hand(ask: Callable[..., Questions]) -> None:
    sets = AnswerSets.of(ask(TRUTHS), CHOICES, 0.5)
    assert sets.named.tolist() == [0, 1, 1, 0, 2, 1]
    assert sets.f1.tolist() == pytest.approx([1, 0, 1, 0, 1, 2 / 3])
    found = sets.metrics(np.ones(6, dtype=bool))
    assert (found.none, found.several, found.min_match) == (2, 2, 0.5)
    assert found.precision == 3 / 6
    assert (found.n_acc, found.t_acc) == (1 / 2, 3 / 4)
    assert found.giou == pytest.approx((1 + 0 + 1 + 0 + 1 + 0.5) / 6)
    assert found.ciou == pytest.approx(400 / 700)
    only_targets = sets.metrics(np.array([False, False, True, True, False, False]))
    assert (only_targets.n_acc, only_targets.t_acc, only_targets.ciou) == (None, 1 / 2, 100 / 200)


def test_without_a_match_something_is_always_named(ask: Callable[..., Questions]) -> None:
    sets = AnswerSets.of(ask(TRUTHS), choices_of([0] * 6))
    found = sets.metrics(np.ones(6, dtype=bool))
    assert (found.n_acc, found.t_acc, found.min_match, found.precision) == (0, 1, None, 2 / 6)


def test_single_targets_have_no_metrics_of_sets(ask: Callable[..., Questions]) -> None:
    questions = ask([targets(LEFT), targets(RIGHT)])
    assert not questions.has_sets
    assert measure(questions.overlaps, [0, 0]).to_json().keys().isdisjoint({"sets"})


def test_unknown_masks_leave_out_the_expression(ask: Callable[..., Questions]) -> None:
    truths = [targets(), targets(LEFT, masks=False), targets(LEFT, RIGHT)]
    sets = AnswerSets.of(ask(truths), choices_of([0, 0, 0]))
    found = sets.metrics(np.ones(3, dtype=bool))
    assert (found.giou, found.ciou) == (pytest.approx((0 + 0.5) / 2), pytest.approx(100 / (100 + 200)))
    no_mask = sets.metrics(np.array([True, True, False]))
    assert (no_mask.giou, no_mask.ciou) == (None, None)


@pytest.mark.parametrize(
    ("named", "meant", "expected"),
    [
        ([], [], 1.0),
        ([LEFT], [], 0.0),
        ([], [LEFT], 0.0),
        ([LEFT], [LEFT], 1.0),
        ([LEFT, LEFT], [LEFT], 2 / 3),  # a second box of the same object is one too many
        ([(0, 0, 10, 10)], [(0, 0, 20, 10)], 1.0),  # an IoU of exactly 0.5 counts, unlike in REC
        ([(0, 0, 10, 9)], [(0, 0, 20, 10)], 0.0),
        # The best pair counts first: 0.9 with the second target, which leaves 0.6 with the first to the other box.
        ([(0, 0, 10, 9), (0, 0, 10, 6)], [(0, 0, 10, 10), (0, 0, 10, 10)], 1.0),
    ],
)
def test_f1_of_boxes(named: list[Any], meant: list[Any], expected: float) -> None:
    assert box_f1(np.reshape(named, (-1, 4)), np.reshape(meant, (-1, 4))) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_the_metrics_agree_with_an_implementation_on_pixels(
    seed: int, make_store: Callable[..., Any], make: Any
) -> None:
    rng = np.random.default_rng(seed)
    expressions, truth, images, records = [], {}, [], {}
    for number in range(40):
        image = f"i{number}"
        boxes = [random_box(rng) for _ in range(5)]
        images.append(make.candidates(image, boxes, ["person"] * 5))
        records[image] = ImageRecord(image, Path(f"{image}.png"))
        meant = [boxes[n] for n in rng.permutation(5)[: rng.integers(0, 4)]]
        meant = [box if rng.random() < 0.7 else random_box(rng) for box in meant]
        expressions.append(Expression(f"e{number}", f"r{number}", image, "phrase"))
        truth[f"r{number}"] = targets(*meant)
    store, split = make_store(images), Split("toy", "val", None, records, tuple(expressions))
    questions = Questions(split, truth, store, Overlaps.of(store, split, truth))
    match = rng.random(40).astype(np.float32)
    chosen = [tuple(rng.permutation(5)[: rng.integers(0, 4)]) for _ in range(40)]
    marked = np.zeros((40, 5), dtype=bool)
    for row, each in enumerate(chosen):
        marked[row, list(each)] = True
    choices = replace(
        choices_of(rng.integers(0, 5, 40).tolist(), match=match, several=marked), kept=np.ones((40, 5), dtype=bool)
    )
    sets = AnswerSets.of(questions, choices, 0.3)

    refused, kept, ious, shared, joined, exact = [], [], [], 0, 0, 0
    for row in range(40):
        boxes = images[row].boxes.astype(int).tolist()
        places = sorted(int(each) for each in chosen[row]) or [int(choices.choice[row])]
        named = [boxes[place] for place in places] if match[row] >= 0.3 else []
        meant = truth[f"r{row}"].boxes.astype(int).tolist()
        ours, theirs = painted(named), painted(meant)
        intersection, union = int((ours & theirs).sum()), int((ours | theirs).sum())
        shared, joined = shared + intersection, joined + union
        if meant:
            kept.append(bool(named))
            ious.append(intersection / union)
        else:
            refused.append(not named)
            ious.append(1.0 if not named else 0.0)
        exact += one_to_one(named, meant)
    found = sets.metrics(np.ones(40, dtype=bool))
    assert (found.n_acc, found.t_acc) == (pytest.approx(np.mean(refused)), pytest.approx(np.mean(kept)))
    assert (found.giou, found.ciou) == (pytest.approx(np.mean(ious)), pytest.approx(shared / joined))
    assert found.precision == pytest.approx(exact / 40)


def random_box(rng: np.random.Generator) -> tuple[int, int, int, int]:
    x1, y1 = int(rng.integers(0, WIDTH - 2)), int(rng.integers(0, HEIGHT - 2))
    return x1, y1, int(rng.integers(x1 + 1, WIDTH + 1)), int(rng.integers(y1 + 1, HEIGHT + 1))


def one_to_one(named: list[list[int]], meant: list[list[int]]) -> bool:
    """Return whether boxes pair up with IoUs of at least 0.5, the greatest first, without a rest (F1 = 1)."""
    if len(named) != len(meant):
        return False
    pairs = sorted(
        (-float((a & b).sum() / (a | b).sum()), i, j)
        for i, a in enumerate(painted([box]) for box in named)
        for j, b in enumerate(painted([box]) for box in meant)
    )
    left, right = {*range(len(named))}, {*range(len(meant))}
    for iou, i, j in pairs:
        if -iou >= 0.5 and i in left and j in right:
            left.remove(i)
            right.remove(j)
    return not left


def coco_area(counts: bytes) -> int:
    return int(coco_mask.area({"size": [HEIGHT, WIDTH], "counts": counts}))


def table_of(questions: Questions, choices: Choices) -> Any:
    sets = AnswerSets.of(questions, choices)
    return answers_table(questions, choices, None, sets)


def test_kinds_causes_and_rows_of_no_target_and_several(ask: Callable[..., Questions]) -> None:
    questions = ask([*TRUTHS, targets(RIGHT), targets(LEFT, (12, 5, 20, 10)), targets(SMALL)])
    choices = choices_of(
        [0] * 9,
        match=np.array([0.1, 0.9, 0.8, 0.4, 0.9, 0.5, 0.9, 0.9, 0.9], dtype=np.float32),
        several=several((), (), (), (), (0, 1), (), (), (), (0, 2)),
    )
    assert [e.kind for e in questions.overlaps.expressions[:5]] == ["none", "none", None, None, "several"]
    table = table_of(questions, choices)
    assert table["cause"].to_pylist() == [
        *("right", "not_refused", "right", "refused", "right", "wrong_set"),
        "wrong_object",  # RIGHT is a person too, and there to be chosen
        "no_candidate",  # no candidate matches the second target
        "wrong_object",  # SMALL was named, but LEFT was chosen for it, and named too
    ]
    assert table["right"].to_pylist() == [True, False, True, False, True, False, False, False, False]
    assert targets_of(table).tolist() == [0, 0, 1, 1, 2, 2, 1, 2, 1]
    assert chose_right(table).tolist() == [False, False, True, True, True, True, False, True, False]
    assert table["truth_mask"].is_valid().to_pylist() == [False, False] + [True] * 7
    assert table["size"].to_pylist()[:5] == pytest.approx([0, 0, 0.5, 0.5, 1])
    assert table["match"].to_pylist()[3] == pytest.approx(0.4)
    assert table["several"].to_pylist()[4] == [True, True, False]
    area = [None if each is None else coco_area(each) for each in table["chosen_mask"].to_pylist()]
    assert area[4:6] == [200, 100], "the mask of all that is named"
    stairs = staircase(table)
    assert (stairs.expressions, stairs.candidates, stairs.chosen) == (7, 1, 5 / 7)


def test_a_right_choice_with_one_too_many_is_a_wrong_set(ask: Callable[..., Questions]) -> None:
    questions = ask([targets(LEFT), targets()])
    table = table_of(questions, choices_of([0, 0], several=several((0, 1), ())))
    assert table["cause"].to_pylist() == ["wrong_set", "not_refused"]


def test_an_image_without_candidates_names_nothing(make_store: Callable[..., Any], make: Any) -> None:
    split = Split(
        "toy",
        "val",
        None,
        {"i1": ImageRecord("i1", Path("i1.png")), "i2": ImageRecord("i2", Path("i2.png"))},
        (
            Expression("e1", "r1", "i1", "nothing"),
            Expression("e2", "r2", "i1", "left"),
            Expression("e3", "r3", "i2", "left"),
        ),
    )
    truth = {"r1": targets(), "r2": targets(LEFT), "r3": targets(LEFT)}
    store = make_store([make.candidates("i1", [], []), make.candidates("i2", BOXES, ["person", "person", "dog"])])
    questions = Questions(split, truth, store, Overlaps.of(store, split, truth))
    choices = choices_of([-1, -1, 0])
    sets = AnswerSets.of(questions, choices)
    assert sets.named.tolist() == [0, 0, 1] and sets.right.tolist() == [True, False, True]
    assert named_candidates(choices, 0, 0, 0.5) == []
    assert table_of(questions, choices)["cause"].to_pylist() == ["right", "no_candidate", "right"]


def answers_of(questions: Questions, choices: Choices) -> Answers:
    sets = AnswerSets.of(questions, choices)
    metrics = measure(questions.overlaps, choices.choice, None, sets)
    result = Result("toy", "val", None, "ours", "mini", "clean", 0, {}, metrics)
    return Answers(result, LABELS, {}, answers_table(questions, choices, None, sets))


def test_answers_and_metrics_are_read_back(ask: Callable[..., Questions], tmp_path: Path) -> None:
    answers = answers_of(ask(TRUTHS), CHOICES)
    answers.save(tmp_path / "a.parquet")
    read = Answers.load(tmp_path / "a.parquet")
    assert read.table.equals(answers.table) and read.result == answers.result
    assert read.result.metrics.by_kind["none"].sets is not None
    assert error_tables(read)["kind"][0]["slice"] == "none"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"match": [1.5, *[0.5] * 5]}, "row 0: 'match' must be a number from 0 to 1"),
        ({"match": [None, *[0.5] * 5]}, "row 0: 'match' is missing, but other rows have it"),
        ({"several": [[True, False], *[[False] * 3] * 5]}, "row 0: 'several' has another length"),
        ({"truth_box": [[0, 0, 1], *[[]] * 5]}, "row 0: 'truth_box' must have four numbers for each target"),
        ({"truth_box": [[]] * 6}, "row 2: 'truth_mask' and 'truth_box' contradict"),
    ],
)
def test_damaged_answers_are_refused(
    ask: Callable[..., Questions], tmp_path: Path, change: dict[str, list[Any]], message: str
) -> None:
    answers = answers_of(ask(TRUTHS), CHOICES)
    [(name, values)] = change.items()
    place = answers.table.schema.get_field_index(name)
    table = answers.table.set_column(
        place, answers.table.schema.field(name), pa.array(values, answers.table.schema.field(name).type)
    )
    replace(answers, rows=table).save(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        Answers.load(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"none": 5}, "5 expressions without a target and 2 with several of 6"),
        ({"n_acc": 2}, "'n_acc' must be a number from 0 to 1"),
        ({"recall": 1}, "unknown key 'recall'"),
    ],
)
def test_damaged_metrics_are_refused(ask: Callable[..., Questions], change: dict[str, Any], message: str) -> None:
    values = answers_of(ask(TRUTHS), CHOICES).result.metrics.to_json()
    assert isinstance(read_metrics(values, "scores"), Metrics)
    values["sets"] |= change
    with pytest.raises(DataError, match=message):
        read_metrics(values, "scores")


@pytest.mark.parametrize(
    ("answer", "min_match", "expected"),
    [
        ({"choice": -1, "match": None, "several": None}, 0.5, []),
        ({"choice": 2, "match": None, "several": None}, None, [2]),
        ({"choice": 2, "match": 0.4, "several": [True, True, False]}, 0.5, []),
        ({"choice": 2, "match": 0.5, "several": [True, True, False]}, 0.5, [0, 1]),
        ({"choice": 2, "match": 0.6, "several": [False, False, False]}, 0.5, [2]),
    ],
)
def test_what_a_stored_answer_names(answer: dict[str, Any], min_match: float | None, expected: list[int]) -> None:
    assert named_in(answer, SetMetrics(1, 0, min_match, 1.0, None, None, None, None)) == expected
    assert named_in(answer, None) == [each for each in [answer["choice"]] if each >= 0]


def test_causes_of_single_targets_are_those_of_the_choice(ask: Callable[..., Questions]) -> None:
    questions = ask([targets(LEFT), targets(RIGHT)])
    choices = choices_of([0, 0], match=np.zeros(2, dtype=np.float32), several=several((0, 1), (0, 1)))
    categories = np.array([[0, 0, 1, -1]] * 2)
    assert causes(questions.overlaps, choices, LABELS, categories) == ["right", "wrong_object"]
