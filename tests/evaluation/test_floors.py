"""The baselines that stand beside every result."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.hand_store import IMAGES, write
from helpers.tiny_run import World
from rich.console import Console

from aligncat.api.evaluate import evaluate
from aligncat.commands.evaluate import show
from aligncat.datasets.load import load_split
from aligncat.datasets.split import Split
from aligncat.errors import ConfigError, DataError
from aligncat.evaluation.baselines import most_confident
from aligncat.evaluation.floors import Floors
from aligncat.evaluation.metrics import Metrics
from aligncat.evaluation.outcomes import measure
from aligncat.evaluation.questions import Questions
from aligncat.evaluation.results import Result, with_floors
from aligncat.grounder.training_free import TrainingFreeGrounder
from aligncat.report.tables import results as lines_of_the_page
from aligncat.report.terminal import results_table, study_floors
from aligncat.store.reader import Store
from aligncat.types import Expression, ImageRecord


def metrics(rec: float) -> Metrics:
    return Metrics(4, rec, 1.0, 0, None, None, None, None, None, None)


def result(config: str, rec: float, floors: Floors | None, **changes: object) -> Result:
    made = Result("mojiref", "val", "unc", config, "mini", "clean", 0, {}, metrics(rec), floors=floors)
    return replace(made, **changes)  # type: ignore[arg-type]


FLOORS = Floors(metrics(0.25), metrics(0.5), coloured=True)


def test_the_most_confident_candidate_of_the_right_category_is_chosen(tmp_path: Path) -> None:
    write(tmp_path / "store").finish()
    store = Store.open(tmp_path / "store")
    labels = ("cat", "dog", "cup")
    rows, wanted = [], []
    for image in IMAGES:
        for name in (*labels, "zebra"):
            rows.append(Expression(f"{image.image_id} {name}", "r", image.image_id, "it", category=name))
            same = [slot for slot, each in enumerate(image.categories) if labels[each] == name]
            wanted.append(min(same, default=0))
    images = {image.image_id: ImageRecord(image.image_id, Path("x.jpg")) for image in IMAGES}
    split = Split("hand", "val", None, images, tuple(rows))
    names = [each.category for each in rows]
    assert most_confident(split, store, names).tolist() == wanted
    # Without the truth's category, that of the expression counts.
    assert most_confident(split, store, [None] * len(rows)).tolist() == wanted
    other = most_confident(split, store, ["Cat"] * len(rows)).tolist()
    assert other == [wanted[4 * (row // 4)] for row in range(len(rows))]


def test_an_evaluation_measures_both_beside_the_grounder(
    world: World, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = evaluate(grounder=trained, data=world.data, store=world.store, splits=("val",), out=tmp_path)
    [found] = [each.result for each in answers]
    store, split = world.open(), load_split(world.data, "val")
    overlaps = Questions.load(world.data, store, "val").overlaps
    choice = TrainingFreeGrounder.of_store(store).choose(store, split).choice
    assert found.floors is not None
    assert found.floors.training_free.rec == measure(overlaps, choice).rec
    firsts = most_confident(split, store, overlaps.referent_categories)
    assert found.floors.most_confident.rec == measure(overlaps, firsts).rec
    assert not found.floors.coloured
    assert Result.load(tmp_path / "AlignCAT-refcoco-val.json") == found
    show(answers)
    said = capsys.readouterr().out
    assert "training-free" in said and "most confident" in said
    names = [dict(line["words"])["Config"] for line in lines_of_the_page([found])]
    assert names == ["AlignCAT", "most confident", "training-free"]


def test_the_training_free_grounder_is_evaluated_by_its_name(world: World, trained: Path, tmp_path: Path) -> None:
    data = {"data": world.data, "store": world.store, "splits": ("val",)}
    [own] = evaluate(grounder="training-free", out=tmp_path, **data)
    [learned] = evaluate(grounder=trained, **data)
    floors = learned.result.floors
    assert floors is not None and own.result.metrics.rec == floors.training_free.rec
    assert (own.result.config, own.result.seed, own.result.reads) == ("training-free", None, "none")
    assert Result.load(tmp_path / "training-free-refcoco-val.json") == own.result
    assert [each.config for each in with_floors([own.result])] == ["training-free", "most confident"]
    with pytest.raises(ConfigError, match="training-free and its model card are part of aligncat"):
        evaluate(grounder="training-free", model_card=True, **data)


def test_results_of_earlier_versions_have_none(tmp_path: Path) -> None:
    old = result("AlignCAT", 0.75, None)
    assert "floors" not in old.to_json()
    old.save(tmp_path / "old.json")
    assert Result.load(tmp_path / "old.json") == old
    assert with_floors([old]) == [old]
    assert study_floors({"a": {"val": [old]}}) == {}


def test_each_baseline_is_one_line_beside_several_configs_and_seeds() -> None:
    results = [
        result(name, rec, FLOORS, seed=seed) for name, rec, seed in (("a", 0.75, 0), ("a", 0.7, 1), ("b", 1.0, 0))
    ]
    found = with_floors(results)
    assert found[:3] == results
    assert [(each.config, each.metrics.rec, each.seed, each.reads) for each in found[3:]] == [
        ("most confident", 0.25, None, "none"),
        ("training-free", 0.5, None, "colour"),
    ]
    console = Console(file=io.StringIO(), width=300)
    console.print(results_table(results))
    assert isinstance(console.file, io.StringIO) and console.file.getvalue().count("training-free") == 1


def test_a_baseline_that_differs_between_configs_says_beside_which_it_stands() -> None:
    fewer = replace(FLOORS, training_free=metrics(0.4))
    found = with_floors([result("all", 0.75, FLOORS), result("five", 0.7, fewer)])
    assert [each.config for each in found[2:]] == ["most confident", "training-free", "training-free, beside five"]


def test_the_baselines_of_a_study_are_rows_by_split() -> None:
    rows = {
        name: {
            split: [result(name, 0.7, FLOORS, split=split, seed=seed) for seed in (0, 1)] for split in ("val", "testA")
        }
        for name in ("a", "b")
    }
    found = study_floors(rows)
    assert {name: list(splits) for name, splits in found.items()} == {
        "most confident": ["val", "testA"],
        "training-free": ["val", "testA"],
    }


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"coloured": 1}, "'coloured' must be true or false"),
        ({"more": 1}, "unknown key 'more'"),
        ({"training_free": None}, "training_free"),
        ({"most_confident": {**metrics(0.5).to_json(), "rec": 2}}, "rec"),
    ],
)
def test_damaged_floors_are_an_error(changes: dict[str, object], problem: str) -> None:
    content = json.loads(json.dumps(result("a", 0.5, FLOORS).to_json()))
    assert Result.from_json(content, "file") == result("a", 0.5, FLOORS)
    with pytest.raises(DataError, match=problem):
        Result.from_json({**content, "floors": {**content["floors"], **changes}}, "file")


def test_the_baselines_of_a_split_are_measured_once(world: World) -> None:
    questions = Questions.load(world.data, world.open(), "val")
    assert questions.floors is questions.floors
    assert np.isfinite(questions.floors.training_free.rec)
