"""Training has no access to boxes and masks of referents."""

from __future__ import annotations

import ast
import gc
import json
import shutil
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.fabricate import CATEGORIES, write_refer_dataset
from helpers.import_graph import SOURCE, import_paths, imports, modules
from helpers.tiny_detector import save_tiny_detector
from helpers.tiny_run import ALIGNMENT, CANDIDATES, TEXT, TRAINING, World, checkpoint, run, weights

from aligncat.api.extract import extract
from aligncat.api.train import train as api_train
from aligncat.datasets.load import load_split
from aligncat.evaluation.overlaps import Overlaps
from aligncat.grounder.folder import WEIGHTS, read_folder
from aligncat.grounder.match_file import REFERENCES
from aligncat.grounder.model import GroundingModel, ModelConfig
from aligncat.language.vocabulary import Vocabulary
from aligncat.training.data import GroundingData
from aligncat.training.module import GroundingModule
from aligncat.types import Truth

# And every name that ends with _truth, such as load_truth. A format's record leads to its reader of truth.
TRUTH = {"Truth", "Overlaps", "load_objects", "annotated_objects", "Format", "find_format", "format_of"}
READS_TRUTH = (
    "evaluation",
    "datasets.load",
    "datasets.convert",
    "datasets.labelled",
    "detectors.training",
)  # and every module that defines a reader of truth
LEARNERS = [
    *sorted(SOURCE.glob("training/*.py")),
    *sorted(SOURCE.glob("alignment/*.py")),
    *sorted(SOURCE.glob("language/*.py")),
    SOURCE / "grounder" / "batches.py",
    SOURCE / "grounder" / "features.py",
    SOURCE / "grounder" / "images.py",
    SOURCE / "grounder" / "matching.py",
    SOURCE / "grounder" / "model.py",
    SOURCE / "grounder" / "scored.py",
    SOURCE / "grounder" / "torch_scorer.py",
]


def test_weights_are_bit_identical_without_boxes_and_masks_of_the_training_split(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.data.path, tmp_path / "data")
    stripped = replace(world.data, path=tmp_path / "data")
    path = stripped.path / "refcoco" / "instances.json"
    instances = json.loads(path.read_text())
    train = {ref["ann_id"] for ref in world.files.refs if ref["split"] == "train"}
    for annotation in instances["annotations"]:
        if annotation["id"] in train:
            del annotation["bbox"], annotation["segmentation"]
    path.write_text(json.dumps(instances))
    run(world, tmp_path / "with")
    run(world, tmp_path / "without", data=stripped)
    assert weights(tmp_path / "with") == weights(tmp_path / "without")
    assert (tmp_path / "with" / "config.json").read_bytes() == (tmp_path / "without" / "config.json").read_bytes()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose validation split is large enough for a calibration, and whose store has appearance."""
    root = tmp_path_factory.mktemp("large")
    detector = save_tiny_detector(root / "detector", labels=tuple(CATEGORIES.values()))
    files = write_refer_dataset(root / "data", splits={"train": 12, "val": 40})
    extract(out=root / "store", data=files.config, detector=str(detector), candidates=CANDIDATES, appearance=True)
    return World(files, detector, root / "store")


def test_appearance_relations_and_match_are_bit_identical_whatever_the_boxes_are(large: World, tmp_path: Path) -> None:
    """Boxes of the validation split select the best epoch and nothing else, so there is one epoch to select."""
    shutil.copytree(large.data.path, tmp_path / "data")
    path = tmp_path / "data" / "refcoco" / "instances.json"
    instances = json.loads(path.read_text())
    train = {ref["ann_id"] for ref in large.files.refs if ref["split"] == "train"}
    for number, annotation in enumerate(instances["annotations"]):
        if annotation["id"] in train:
            del annotation["bbox"], annotation["segmentation"]
        elif number % 5 == 0:
            annotation["bbox"] = "of no use"  # left out when the epoch is selected
        else:
            annotation["bbox"], annotation["segmentation"] = [0, 0, 2, 2], [[0, 0, 2, 0, 2, 2]]
    path.write_text(json.dumps(instances))
    alignment = replace(ALIGNMENT, features="query+appearance", context="relations")
    given = {"store": large.store, "alignment": alignment, "text": TEXT, "training": replace(TRAINING, epochs=1)}
    for name, data in (("with", large.data), ("without", replace(large.data, path=tmp_path / "data"))):
        api_train(data=data, out=tmp_path / name, skip_bad_rows=True, progress=False, **given)  # type: ignore[arg-type]
    assert read_folder(tmp_path / "with").calibration is not None
    for file in ("config.json", WEIGHTS, REFERENCES):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes(), file


def test_validation_does_not_change_the_weights_of_any_epoch(world: World, tmp_path: Path) -> None:
    run(world, tmp_path / "validated")
    run(world, tmp_path / "alone", val_split=None)
    first, second = (checkpoint(tmp_path / name, "last") for name in ("validated", "alone"))
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(first[key][name], second[key][name]) for name in first[key])


@pytest.mark.parametrize("path", LEARNERS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_training_imports_no_truth(path: Path) -> None:
    names = {
        alias.name.rsplit(".")[-1]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert not {name for name in names if name in TRUTH or name.endswith("_truth")}


def test_no_module_that_reads_truth_can_be_reached_from_training() -> None:
    readers = {module for module in modules() if is_or_is_inside(module, READS_TRUTH) or defines_a_truth_reader(module)}
    assert {"datasets.formats.refer_truth", "datasets.formats.jsonl", "evaluation.overlaps"} <= readers
    graph = imports(for_types=False)
    reached = import_paths([module for module in modules() if is_or_is_inside(module, ("training",))], graph)
    assert {"grounder.batches", "datasets.split"} <= reached.keys()  # the search does follow imports
    assert [" > ".join(path) for module, path in reached.items() if module in readers] == []
    # The public function `train` does read truth, inside the function.
    assert readers & import_paths(["api.train"], graph).keys() >= {"datasets.load", "evaluation.overlaps"}


def is_or_is_inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in packages)


def defines_a_truth_reader(module: str) -> bool:
    functions = (
        node for node in ast.walk(ast.parse(modules()[module].read_text())) if isinstance(node, ast.FunctionDef)
    )
    return any(function.name.endswith("_truth") for function in functions)


def test_no_truth_can_be_reached_from_the_objects_of_training(world: World) -> None:
    train, val = (load_split(world.data, name) for name in ("train", "val"))
    store = world.open()
    vocabulary = Vocabulary.from_expressions(expression.text for expression in train.expressions)
    config = ModelConfig(ALIGNMENT, TEXT)
    batches = GroundingData(
        train=train,
        val=val,
        store=store,
        vocabulary=vocabulary,
        max_length=8,
        batch_size=8,
        seed=0,
        with_labels=True,
    )
    model = GroundingModel(config, len(vocabulary), feature_dim=store.manifest.feature_dim, classes=3)
    module = GroundingModule(model, TRAINING, batches.steps_per_epoch)
    reached = everything_below([module, batches, next(iter(batches.train_dataloader()))])
    assert any(isinstance(each, torch.Tensor) for each in reached)  # the search does follow references
    assert not any(isinstance(each, Truth | Overlaps) for each in reached)
    # The store, which holds the candidates' boxes, cannot be reached either.
    assert not any(each is store for each in reached)


def everything_below(roots: list[object]) -> list[object]:
    """Return all objects that can be reached from these, except code."""
    code = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)
    seen: dict[int, object] = {}
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, code):
            seen[id(each)] = each
            waiting += gc.get_referents(each)
    return list(seen.values())
