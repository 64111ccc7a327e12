"""The evaluate verb: one result per split in a file and in a table, with the facts that a result must state."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.tiny_detector import save_tiny_detector
from helpers.tiny_run import CANDIDATES, World

from aligncat.api.evaluate import evaluate
from aligncat.api.extract import extract
from aligncat.commands.evaluate import show
from aligncat.datasets.config import DataConfig
from aligncat.datasets.load import load_split, load_truth
from aligncat.errors import ConfigError, DataError, StoreError
from aligncat.evaluation.results import Result, Seen
from aligncat.geometry import box_iou
from aligncat.grounder.grounder import Grounder


def evaluate_and_show(**arguments: Any) -> list[Result]:
    """Evaluate and print the tables, as the verb does."""
    answers = evaluate(**arguments)
    show(answers)
    return [each.result for each in answers]


def test_every_split_has_a_result_in_a_file_and_in_the_table(
    world: World, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = evaluate_and_show(grounder=trained, data=world.data, store=world.store, out=tmp_path / "new" / "results")
    assert [result.split for result in results] == ["val", "testA", "testB"]
    for result in results:
        path = tmp_path / "new" / "results" / f"AlignCAT-refcoco-{result.split}.json"
        assert Result.load(path) == result
        content = json.loads(path.read_text())
        assert content["dataset"] == "refcoco" and content["split_by"] == "unc" and content["split"] == result.split
        assert content["scores"]["expressions"] == {"val": 16, "testA": 8, "testB": 8}[result.split]
        assert content["detector"] == str(world.detector)
        assert (content["seen"], content["seed"]) == ("unknown", 0)
        assert content["versions"]["torch"]
    output = capsys.readouterr().out
    for word in ("refcoco", "val", "testA", "testB", "REC", "oracle", "mIoU", "oIoU", "AlignCAT"):
        assert word in output


def test_rec_equals_that_of_phrases_grounded_one_by_one(world: World, trained: Path) -> None:
    [result] = evaluate_and_show(grounder=trained, data=world.data, store=world.store, splits=("val",))
    split, truth = load_split(world.data, "val"), load_truth(world.data, "val")
    grounder = Grounder.from_pretrained(trained)
    hits = []
    for expression in split.expressions:
        [found] = grounder.ground(split.images[expression.image_id].path, [expression.text])
        box = truth[expression.referent_id].box
        hits.append(box_iou(np.array([found.box]), box[None])[0, 0] > 0.5)
    assert result.metrics.rec == pytest.approx(np.mean(hits))
    assert 0 < result.metrics.rec < result.metrics.oracle_rec == 1.0


@pytest.mark.parametrize(
    ("seen", "expected"),
    [("clean", "said not to have seen the images"), ("leaked", "SAID TO HAVE SEEN the images")],
)
def test_a_claim_about_an_unknown_detector_is_used_and_marked_as_a_claim(
    world: World, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], seen: Seen, expected: str
) -> None:
    arguments = {"grounder": trained, "data": world.data, "store": world.store, "splits": ("val",), "out": tmp_path}
    [result] = evaluate_and_show(**arguments, seen=seen)  # type: ignore[arg-type]
    assert (result.seen, result.seen_claimed, result.images_seen) == (seen, True, None)
    assert Result.load(tmp_path / "AlignCAT-refcoco-val.json") == result
    assert expected in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("named", [False, True])
def test_a_claim_does_not_hide_a_leak(
    named: bool, world: World, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leak is known from a list, or from the name of a detector that was trained on COCO."""
    grounder, store, detector_images = trained, world.store, "coco-train2017"
    if named:
        monkeypatch.chdir(tmp_path)
        name = "facebook/mask2former-swin-base-coco-instance"
        shutil.copytree(world.detector, name)
        extract(out=tmp_path / "store", data=world.data, splits=("val",), detector=name, candidates=CANDIDATES)
        Grounder.from_pretrained(trained, detector=name).save_pretrained(tmp_path / "grounder")
        grounder, store = tmp_path / "grounder", tmp_path / "store"
        (tmp_path / "list.txt").write_text("COCO_train2014_000000009999.jpg\n")
        detector_images = str(tmp_path / "list.txt")
    arguments = {"grounder": grounder, "data": world.data, "store": store, "splits": ("val",)}
    with pytest.raises(ConfigError, match=r"--seen clean is wrong: .* on 4 of the 4 photos .*coco-train2017"):
        evaluate(**arguments, detector_images=None if named else detector_images, seen="clean")  # type: ignore[arg-type]
    [result] = evaluate_and_show(**arguments, detector_images=detector_images)  # type: ignore[arg-type]
    assert (result.seen, result.seen_claimed, result.images_seen) == ("leaked", False, 4)


@pytest.mark.parametrize(
    ("listed", "seen", "images_seen"),
    [
        ("coco-train2017", "leaked", 4),
        ("COCO_train2014_000000001012.jpg\n", "leaked", 1),
        ("COCO_train2014_000000009999.jpg\n", "clean", 0),
        ("mug.jpg\n", "unknown", None),
    ],
)
def test_a_list_of_the_detectors_images_gives_the_number_of_seen_photos(
    world: World,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    listed: str,
    seen: str,
    images_seen: int | None,
) -> None:
    if listed.endswith("\n"):
        (tmp_path / "list.txt").write_text(listed)
        listed = str(tmp_path / "list.txt")
    [result] = evaluate_and_show(
        grounder=trained, data=world.data, store=world.store, splits=("val",), detector_images=listed, out=tmp_path
    )
    assert (result.seen, result.images, result.images_seen) == (seen, 4, images_seen)
    assert Result.load(tmp_path / "AlignCAT-refcoco-val.json") == result
    output = " ".join(capsys.readouterr().out.split())
    assert (f"HAS SEEN {images_seen} of" in output) == (seen == "leaked")


def test_a_grounder_of_unknown_origin_has_no_seed(world: World, trained: Path, tmp_path: Path) -> None:
    known = Grounder.from_pretrained(trained)
    Grounder(known.model, known.vocabulary, known.labels, known.detector_description, {}).save_pretrained(tmp_path)
    [result] = evaluate_and_show(grounder=tmp_path, data=world.data, store=world.store, splits=("val",))
    assert result.seed is None


def test_a_store_of_another_detector_is_rejected(world: World, trained: Path, tmp_path: Path) -> None:
    other = save_tiny_detector(tmp_path / "other", labels=("person", "dog", "couch"), seed=1)
    extract(out=tmp_path / "store", data=world.data, detector=str(other), candidates=6)
    with pytest.raises(StoreError, match="weights_sha256"):
        evaluate(grounder=trained, data=world.data, store=tmp_path / "store")


def test_an_unknown_split_is_named_with_the_known_ones(world: World, trained: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'test'.*testA"):
        evaluate(grounder=trained, data=world.data, store=world.store, splits=("test",))


def test_truth_of_another_image_size_is_rejected(world: World, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(world.data.path, tmp_path / "data")
    path = tmp_path / "data" / "refcoco" / "instances.json"
    instances = json.loads(path.read_text())
    for image in instances["images"]:
        image["width"] = 96
    for annotation in instances["annotations"]:
        del annotation["segmentation"]
        annotation["segmentation"] = [[0, 0, 10, 0, 10, 10, 0, 10]]
    path.write_text(json.dumps(instances))
    with pytest.raises(DataError, match="96 x 40"):
        evaluate(grounder=trained, data=replace(world.data, path=tmp_path / "data"), store=world.store)


def test_a_folder_that_is_not_a_grounder_is_rejected(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        evaluate(grounder=tmp_path, data=world.data, store=world.store)
    with pytest.raises(ConfigError):
        evaluate(grounder=tmp_path / "no" / "such" / "run", data=DataConfig(tmp_path, "jsonl"), store=world.store)


def test_folders_that_differ_only_in_the_seed_are_one_config(world: World, trained: Path, tmp_path: Path) -> None:
    for name in ("ours-seed0", "ours-seed7"):
        shutil.copytree(trained, tmp_path / name)
        [result] = evaluate_and_show(
            grounder=tmp_path / name, data=world.data, store=world.store, splits=("val",), out=tmp_path / "results"
        )
        assert (result.config, result.seed) == ("ours" if name == "ours-seed0" else "ours-seed7", 0)
        assert (tmp_path / "results" / f"{name}-refcoco-val.parquet").is_file()


def test_the_divisions_of_refcocog_do_not_overwrite_each_other(world: World, trained: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for division in ("umd", "google"):
        data = DataConfig(tmp_path / "data", "refcocog", division, images=world.data.path / "images")
        folder = data.path / "refcocog"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(world.data.path / "refcoco" / "instances.json", folder)
        shutil.copy(world.data.path / "refcoco" / "refs(unc).p", folder / f"refs({division}).p")
        evaluate(grounder=trained, data=data, store=world.store, splits=("val",), out=results)
    found = {path.name: Result.load(path).split_by for path in results.glob("*-val.json")}
    assert found == {f"{trained.name}-refcocog-{division}-val.json": division for division in ("umd", "google")}


def test_data_without_a_split_to_evaluate_is_an_error(world: World, trained: Path, tmp_path: Path) -> None:
    row = {"image": "a.jpg", "expression": "a dog"}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match="the only split is train; add another split"):
        evaluate(grounder=trained, data=DataConfig(tmp_path, "mine", format="jsonl"), store=world.store)
