"""Files written before the packages were rearranged still open and give the same answers."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_run import ALIGNMENT, TEXT, TRAINING, weights

from aligncat import DataConfig, Grounder, Store, evaluate, train
from aligncat.evaluation.answers import Answers
from aligncat.grounder.grounding import Grounding

FIRST = Path(__file__).resolve().parent / "fixtures" / "first-layout"
DATA = DataConfig(FIRST / "data", "refcoco")


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def test_a_stored_image_gives_the_same_groundings() -> None:
    stored = json.loads((FIRST / "groundings.json").read_text())
    grounder = Grounder.from_pretrained(FIRST / "grounder")
    store = Store.open(FIRST / "store", expect=grounder.detector_description)
    found = grounder.ground_candidates(store.candidates(stored["image_id"]), stored["expressions"])
    assert len(found) == len(stored["groundings"]) == 3
    words = json.loads((FIRST / "grounder" / "vocabulary.json").read_text())["words"]
    for now, before in zip(map(Grounding.to_dict, found), stored["groundings"], strict=True):
        # A newer key. These phrases have no punctuation, so their words are what white space separates.
        warnings = now.pop("warnings")
        guessed = bool({"cat", "zebra"} & {*now["unknown_words"]})
        assert len(warnings) == bool(now["unknown_words"]) + (guessed or not now["category_matched"])
        assert now.pop("unknown_words") == [word for word in now["expression"].split() if word not in words]
        # Newer keys; the old grounder is not calibrated.
        assert (now.pop("match"), now.pop("answers")) == (None, [])
        assert now.pop("probability") == pytest.approx(before.pop("score"), abs=1e-6)
        for one, other in zip(now.pop("candidates"), before.pop("candidates"), strict=True):
            assert one.pop("probability") == pytest.approx(other.pop("probability"), abs=1e-6)
            assert one.pop("scores") == pytest.approx(other.pop("scores"), abs=1e-5)
            assert json.loads(json.dumps(one)) == other
        weights_now, weights_before = dict(now.pop("word_weights")), dict(before.pop("word_weights"))
        assert weights_now == pytest.approx(weights_before, abs=1e-6)
        assert json.loads(json.dumps(now)) == before


def test_an_evaluation_gives_the_same_metrics_causes_and_answers(tmp_path: Path) -> None:
    evaluate(grounder=FIRST / "grounder", data=DATA, store=FIRST / "store", out=tmp_path)
    for split in ("val", "testA", "testB"):
        name = f"grounder-refcoco-{split}"
        now, before = (json.loads((folder / f"{name}.json").read_text()) for folder in (tmp_path, FIRST / "answers"))
        assert without(now, "versions", "content_sha256", "floors") == without(before, "versions")
        assert (tmp_path / f"{name}.errors.json").read_bytes() == (
            FIRST / "answers" / f"{name}.errors.json"
        ).read_bytes()
    now, before = (Answers.load(folder / "grounder-refcoco-testA.parquet") for folder in (tmp_path, FIRST / "answers"))
    assert now.table.schema.names == before.table.schema.names
    for column in ("expression_id", "text", "choice", "right", "cause", "words", "chosen_mask", "boxes", "kept"):
        assert now.table[column].to_pylist() == before.table[column].to_pylist(), column
    assert now.table["score"].to_pylist() == pytest.approx(before.table["score"].to_pylist(), abs=1e-6)


def test_an_unfinished_run_resumes_and_gives_the_same_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(FIRST / "grounder", tmp_path / "run")
    (tmp_path / "run" / "model.safetensors").unlink()
    arguments: dict[str, Any] = {
        "data": DATA,
        "store": FIRST / "store",
        "out": tmp_path / "run",
        "alignment": ALIGNMENT,
        "text": TEXT,
        "progress": False,
    }
    with caplog.at_level(logging.WARNING):
        train(**arguments, training=replace(TRAINING, epochs=4))
    assert weights(tmp_path / "run") == weights(FIRST / "grounder")
    assert "words" not in json.loads((tmp_path / "run" / "config.json").read_text())  # its own rule, the first one
    sizes = [record.getMessage() for record in caplog.records if "visual_dim" in record.getMessage()]
    assert len(sizes) == 1 and "settings.json" in sizes[0]
