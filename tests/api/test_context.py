"""`alignment.context: relations`, from training to the answer."""

from __future__ import annotations

import json
import math
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_run import ALIGNMENT, World, run, weights

from aligncat.api.evaluate import evaluate
from aligncat.datasets.load import load_split
from aligncat.grounder.grounder import Grounder
from aligncat.types import Candidates

RELATIONS = replace(ALIGNMENT, context="relations")


@pytest.fixture(scope="module")
def folder(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("grounders") / "relations"
    run(world, out, alignment=RELATIONS, epochs=2)
    return out


def first(candidates: Candidates, count: int) -> Candidates:
    names = ("features", "queries", "categories", "confidences", "boxes", "masks")
    return replace(candidates, **{name: getattr(candidates, name)[:count] for name in names})


def test_two_runs_give_equal_bits_and_the_folder_says_what_it_reads(world: World, folder: Path, tmp_path: Path) -> None:
    run(world, tmp_path / "again", alignment=RELATIONS, epochs=2)
    assert weights(tmp_path / "again") == weights(folder)
    assert json.loads((folder / "config.json").read_text())["alignment"]["context"] == "relations"
    assert (
        "It compares each candidate with its neighbours and looks at where it lies."
        in (folder / "README.md").read_text()
    )


def test_ground_and_choose_give_the_same_answers(world: World, folder: Path) -> None:
    grounder, split, store = Grounder.from_pretrained(folder), load_split(world.data, "val"), world.open()
    choices = grounder.choose(store, split)
    for row, expression in enumerate(split.expressions):
        [found] = grounder.ground_candidates(store.candidates(expression.image_id), expression.text)
        assert found.choice == choices.choice[row]
        for slot, candidate in enumerate(found.candidates):
            assert candidate.scores["fine"] == pytest.approx(float(choices.scores["fine"][row, slot]), abs=1e-4)


def test_the_boxes_decide_scores_and_their_size_in_pixels_does_not(world: World, folder: Path) -> None:
    grounder = Grounder.from_pretrained(folder)
    store = world.open()
    candidates = max((store.candidates(each) for each in store.image_ids), key=len)
    doubled = replace(candidates, boxes=candidates.boxes * 2, width=candidates.width * 2, height=candidates.height * 2)
    moved = replace(candidates, boxes=candidates.boxes[::-1].copy())
    plain, larger, other = (
        [candidate.scores["fine"] for candidate in grounder.ground_candidates(each, "red cat")[0].candidates]
        for each in (candidates, doubled, moved)
    )
    assert larger == plain and other != plain


def test_one_candidate_is_an_answer(world: World, folder: Path) -> None:
    store = world.open()
    [found] = Grounder.from_pretrained(folder).ground_candidates(first(store.candidates(store.image_ids[0]), 1), "cat")
    assert found.choice == 0 and found.probability == 1


def test_candidates_without_neighbours_have_an_answer(world: World, folder: Path) -> None:
    store = world.open()
    candidates = max((store.candidates(each) for each in store.image_ids), key=len)
    alike = replace(candidates, boxes=np.repeat(candidates.boxes[:1], len(candidates), axis=0))
    [found] = Grounder.from_pretrained(folder).ground_candidates(alike, "cat next to the dog")
    assert len(found.candidates) == len(candidates) > 1
    assert all(math.isfinite(each.scores["fine"]) for each in found.candidates)


def test_a_phrase_that_names_the_second_object_only_has_an_answer(world: World, folder: Path, tmp_path: Path) -> None:
    data = replace(world.data, path=shutil.copytree(world.data.path, tmp_path / "data"))
    [path] = (data.path / "refcoco").glob("refs*.p")
    refs = pickle.loads(path.read_bytes())
    for number, ref in enumerate(refs):
        for sentence in ref["sentences"]:
            sentence["sent"] = sentence["raw"] = ("next to the dog", "left of the cat")[number % 2]
    path.write_bytes(pickle.dumps(refs))
    grounder = run(world, tmp_path / "run", alignment=RELATIONS, data=data, epochs=1)
    store = world.open()
    candidates = store.candidates(store.image_ids[0])
    for each in (grounder, Grounder.from_pretrained(folder)):
        [found] = each.ground_candidates(candidates, "next to the dog")
        assert 0 <= found.choice < len(candidates) and found.predicted_category in store.labels


def test_a_result_states_the_context(world: World, folder: Path, tmp_path: Path) -> None:
    [answers] = evaluate(grounder=folder, data=world.data, store=world.store, splits=("val",), out=tmp_path / "out")
    assert (answers.result.features, answers.result.context) == ("query", "relations")
    assert answers.result.reads == "query, relations"
    [path] = [each for each in (tmp_path / "out").glob("*.json") if "errors" not in each.name]
    assert json.loads(path.read_text())["context"] == "relations"


def test_the_models_boxes_are_in_shares_of_the_photo(world: World) -> None:
    store = world.open()
    candidates = store.candidates(store.image_ids[0])
    stored = store.relative_boxes([candidates.image_id])[0, : len(candidates)]
    assert torch.equal(torch.from_numpy(stored), torch.from_numpy(candidates.relative_boxes))
    assert stored.max() <= 1.01 and stored.min() >= -0.01
