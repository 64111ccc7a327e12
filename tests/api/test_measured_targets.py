"""Training and evaluation on phrases that mean no object or several, in gRefCOCO's files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_run import World, run, weights

from aligncat.api.evaluate import evaluate
from aligncat.commands.evaluate import show
from aligncat.datasets.config import DataConfig
from aligncat.errors import ConfigError
from aligncat.evaluation.answers import Answers
from aligncat.studies.study import ALIGNCAT


def as_grefs(world: World) -> list[dict[str, Any]]:
    """Return the refs of the tiny world as gRefCOCO writes them."""
    rows = deepcopy(world.files.refs)
    for row in rows:
        row |= {"ann_id": [row["ann_id"]], "category_id": [row["category_id"]], "no_target": False}
    return rows


def nothing(row: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a row about the same image whose phrase means nothing in it."""
    sentence = {"sent_id": 10_000 + number, "sent": "the unicorn", "raw": "the unicorn", "tokens": ["the", "unicorn"]}
    empty = {"ann_id": [-1], "category_id": [-1], "no_target": True}
    return {**row, **empty, "ref_id": 10_000 + number, "sent_ids": [10_000 + number], "sentences": [sentence]}


@pytest.fixture
def grefcoco(world: World, tmp_path: Path) -> Callable[[str, list[dict[str, Any]]], DataConfig]:
    """Return a function that writes rows as gRefCOCO's files, with the tiny world's annotations and photos."""

    def write(name: str, rows: list[dict[str, Any]]) -> DataConfig:
        folder = tmp_path / name / "grefcoco"
        folder.mkdir(parents=True)
        shutil.copy(world.files.instances_path, folder)
        (folder / "grefs(unc).json").write_text(json.dumps(rows))
        return DataConfig(tmp_path / name, "grefcoco", images=world.files.image_folder)

    return write


def test_training_leaves_out_phrases_without_a_target_and_does_not_see_how_many_others_have(
    world: World, grefcoco: Callable[..., DataConfig], tmp_path: Path
) -> None:
    rows = as_grefs(world)
    run(world, tmp_path / "plain", data=grefcoco("a", rows), epochs=2)
    train = [row for row in rows if row["split"] == "train"]
    added = [*rows[:3], nothing(train[0], 0), *rows[3:], nothing(train[4], 1)]
    run(world, tmp_path / "none", data=grefcoco("b", added), epochs=2)
    several = deepcopy(rows)
    for row in several:
        if row["split"] == "train":
            row["ann_id"] = [*row["ann_id"], 5000, 5001]
    run(world, tmp_path / "several", data=grefcoco("c", several), epochs=2)
    assert weights(tmp_path / "plain") == weights(tmp_path / "none") == weights(tmp_path / "several")
    configs = {(tmp_path / name / "config.json").read_bytes() for name in ("plain", "none", "several")}
    assert len(configs) == 1


def test_the_validation_split_judges_phrases_with_a_target(
    world: World, grefcoco: Callable[..., DataConfig], tmp_path: Path
) -> None:
    rows = as_grefs(world)
    val = next(row for row in rows if row["split"] == "val")
    run(world, tmp_path / "plain", data=grefcoco("a", rows), epochs=2)
    run(world, tmp_path / "none", data=grefcoco("b", [*rows, nothing(val, 0)]), epochs=2)
    logs = [next((tmp_path / name / "run" / "csv").rglob("metrics.csv")).read_text() for name in ("plain", "none")]
    recs = [
        [line.split(",")[log.split("\n")[0].split(",").index("val/rec")] for line in log.split("\n")[1:] if line]
        for log in logs
    ]
    assert recs[0] == recs[1] and any(recs[0])


def test_a_study_leaves_them_out_too(world: World, grefcoco: Callable[..., DataConfig]) -> None:
    from aligncat.datasets.load import load_split

    rows = as_grefs(world)
    train = next(row for row in rows if row["split"] == "train")
    split = load_split(grefcoco("a", [*rows, nothing(train, 0)]), "train")
    assert len(ALIGNCAT.training_split(split, 0).expressions) == len(split.expressions) - 1


def test_evaluation_reports_grefcocos_metrics_beside_the_choices_own(
    world: World,
    trained: Path,
    grefcoco: Callable[..., DataConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = as_grefs(world)
    val = [row for row in rows if row["split"] == "val"]
    val[0]["ann_id"] = [val[0]["ann_id"][0], val[1]["ann_id"][0]]
    data = grefcoco("a", [*rows, nothing(val[2], 0)])
    found = evaluate(grounder=trained, data=data, store=world.store, splits=("val",), out=tmp_path / "out")
    show(found)
    [answers] = found
    sets = answers.result.metrics.sets
    assert sets is not None
    # A grounder without a match names one object for each of the 17 phrases: two of them mean two, and one means none.
    assert (sets.none, sets.several, sets.n_acc, sets.t_acc, sets.min_match) == (1, 2, 0, 1, None)
    one = (
        evaluate(grounder=trained, data=world.data, store=world.store, splits=("val",))[0].table["box_iou"].to_pylist()
    )
    assert sets.precision == sum(iou >= 0.5 for iou in one[2:]) / 17
    output = capsys.readouterr().out
    for word in ("F1 = 1", "N-acc", "T-acc", "gIoU", "cIoU", "not refused"):
        assert word in output
    assert {"none", "several"} <= answers.result.metrics.by_kind.keys()
    loaded = Answers.load(tmp_path / "out" / f"{trained.name}-grefcoco-val.parquet")
    assert loaded.result == answers.result
    with pytest.raises(ConfigError, match="min_match is 50"):
        evaluate(grounder=trained, data=data, store=world.store, min_match=50)


def test_choices_with_a_match_refuse_what_is_below_the_threshold(
    world: World, trained: Path, grefcoco: Callable[..., DataConfig]
) -> None:
    import numpy as np

    from aligncat.evaluation.answering import answer
    from aligncat.evaluation.questions import Questions
    from aligncat.grounder.grounder import Grounder

    rows = as_grefs(world)
    val = next(row for row in rows if row["split"] == "val")
    grounder = Grounder.from_pretrained(trained)
    questions = Questions.load(grefcoco("a", [*rows, nothing(val, 0)]), world.open(), "val")
    match = np.where([each.no_target for each in questions.split.expressions], 0.25, 0.75).astype(np.float32)

    class Matching:
        """The trained grounder, whose choices have a match."""

        def __getattr__(self, name: str) -> Any:
            return getattr(grounder, name)

        def choose(self, *arguments: Any) -> Any:
            return replace(grounder.choose(*arguments), match=match)

    for min_match, shares in ((0.5, (1, 1)), (0.2, (0, 1)), (0.8, (1, 0))):
        sets = answer(Matching(), "x", questions, min_match=min_match).result.metrics.sets  # type: ignore[arg-type]
        assert sets is not None and (sets.n_acc, sets.t_acc) == shares
