"""A detector that gives boxes alone: REC is measured, RES is not, and every result says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.descriptions import detector_description
from helpers.hand_store import IMAGES, manifest

from aligncat.datasets.split import Split
from aligncat.errors import DataError, StoreError
from aligncat.evaluation.answer_sets import AnswerSets
from aligncat.evaluation.answers import Answers, answers_table
from aligncat.evaluation.outcomes import measure
from aligncat.evaluation.overlaps import Overlaps
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.results import Result
from aligncat.geometry import encode_mask
from aligncat.report.terminal import result_lines
from aligncat.store.manifest import BOXES_FORMAT, FORMAT
from aligncat.store.reader import Store
from aligncat.store.writer import StoreWriter
from aligncat.types import Candidates, Choices, Expression, ImageRecord, Truth

BOXES_ALONE = detector_description(masks="none", candidates=4)
ALONE = [replace(each, masks=None) for each in IMAGES]


def write(folder: Path, images: list[Candidates] = ALONE, **changes: Any) -> Store:
    writer = StoreWriter.open(folder, manifest(**{"detector": BOXES_ALONE, "format": BOXES_FORMAT, **changes}))
    for shard in range(3):
        writer.write(shard, images[2 * shard : 2 * shard + 2])
    writer.finish()
    return Store.open(folder)


def test_a_store_of_boxes_alone_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = write(tmp_path / "store")
    assert (store.manifest.format, store.manifest.has_masks) == (3, False)
    for written in ALONE:
        found = store.candidates(written.image_id)
        assert found.masks is None is store.masks(written.image_id)
        assert np.array_equal(found.boxes, written.boxes) and np.array_equal(found.features, written.features)
    assert np.array_equal(store.boxes(["image 1"])[0, :2], ALONE[1].boxes)
    store.check_shards()
    assert write(tmp_path / "store").image_ids == store.image_ids, "a finished store is only opened"


def test_masks_and_the_manifest_must_agree(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"image 'image 0': the detector gives masks, but its description says 'none'"):
        write(tmp_path / "with", IMAGES)
    with pytest.raises(StoreError, match=r"image 'image 0': the detector gives no masks"):
        write(tmp_path / "without", ALONE, detector=detector_description(candidates=4), format=FORMAT)


@pytest.mark.parametrize(("written", "claimed"), [(3, 2), (2, 3)])
def test_a_format_that_contradicts_the_detector(tmp_path: Path, written: int, claimed: int) -> None:
    changes = {} if written == 3 else {"detector": detector_description(candidates=4), "format": FORMAT}
    write(tmp_path / "store", ALONE if written == 3 else IMAGES, **changes)
    path = tmp_path / "store" / "manifest.json"
    path.write_text(path.read_text().replace(f'"format": {written}', f'"format": {claimed}'))
    with pytest.raises(StoreError, match=rf"format {claimed} and the detector's masks .* exclude each other"):
        Store.open(tmp_path / "store")


WIDTH, HEIGHT = 20, 10
LEFT, RIGHT = (0, 0, 10, 10), (10, 0, 20, 10)


@pytest.fixture
def questions(make_store: Callable[..., Any], make: Any) -> Questions:
    def truth(*boxes: tuple[int, int, int, int]) -> Truth:
        drawn = []
        for x1, y1, x2, y2 in boxes:
            canvas = np.zeros((HEIGHT, WIDTH), bool)
            canvas[y1:y2, x1:x2] = True
            drawn.append(encode_mask(canvas))
        return Truth(np.array(boxes, np.float64).reshape(-1, 4), tuple(drawn), "person" if boxes else None)

    truths = {"r0": truth(LEFT), "r1": truth(LEFT, RIGHT), "r2": truth()}
    expressions = tuple(Expression(f"e{n}", f"r{n}", "i1", f"phrase {n}") for n in range(3))
    split = Split("toy", "val", None, {"i1": ImageRecord("i1", Path("i1.png"))}, expressions)
    with_masks = make.candidates("i1", [LEFT, RIGHT], ["person", "person"])
    store = make_store([with_masks])
    alone = replace(store.candidates("i1"), masks=None)
    store.candidates = lambda image_id: alone
    return Questions(split, truths, store, Overlaps.of(store, split, truths))


CHOICES = Choices(
    choice=np.array([0, 0, 1], np.int64),
    kept=np.ones((3, 2), bool),
    probabilities=np.full((3, 2), 0.5, np.float32),
    scores={},
    predicted=None,
    category_matched=np.ones(3, bool),
    word_weights=((),) * 3,
    match=np.array([0.9, 0.9, 0.1], np.float32),
    several=np.array([[False, False], [True, True], [False, False]]),
)


def test_rec_is_measured_and_res_is_not(questions: Questions) -> None:
    found = measure(questions.overlaps, CHOICES.choice)
    assert found.rec == 2 / 3 and found.oracle_rec == 2 / 3
    assert (found.with_mask, found.res_miou, found.res_oiou, found.oracle_res_miou, found.precision) == (0, *[None] * 4)


def test_sets_are_measured_by_their_boxes(questions: Questions) -> None:
    sets = AnswerSets.of(questions, CHOICES, 0.5)
    assert sets is not None and sets.f1.tolist() == [1, 1, 1]
    found = sets.metrics(np.ones(3, bool))
    assert (found.precision, found.n_acc, found.t_acc, found.giou, found.ciou) == (1, 1, 1, None, None)
    table = answers_table(questions, CHOICES, None, sets)
    assert table["chosen_mask"].to_pylist() == [None] * 3 and table["mask_iou"].to_pylist() == [None] * 3


def test_the_line_of_a_result_says_that_res_is_not_measured(questions: Questions, tmp_path: Path) -> None:
    result = Result(
        dataset="toy",
        split="val",
        split_by=None,
        config="AlignCAT",
        detector="rt",
        seen="clean",
        seed=0,
        versions={},
        metrics=measure(questions.overlaps, CHOICES.choice),
        boxes_alone=True,
    )
    [(conditions, _, metrics)] = result_lines([result])
    assert conditions["Detector"] == "rt (boxes alone: RES is not measured)"
    assert metrics["RES mIoU"] is None
    result.save(tmp_path / "result.json")
    assert Result.load(tmp_path / "result.json") == result
    answers = Answers(result, ("cat", "dog", "cup"), {}, answers_table(questions, CHOICES))
    answers.save(tmp_path / "answers.parquet")
    assert Answers.load(tmp_path / "answers.parquet").table.equals(answers.table)
    replace(answers, result=replace(result, boxes_alone=False)).save(tmp_path / "damaged.parquet")
    with pytest.raises(DataError, match="'chosen_mask' and 'choice' contradict"):
        Answers.load(tmp_path / "damaged.parquet")
    assert "boxes_alone" not in replace(result, boxes_alone=False).to_json()
    with pytest.raises(DataError, match=r"'boxes_alone' must be true or false, not 3"):
        Result.from_json({**result.to_json(), "boxes_alone": 3}, "result.json")
