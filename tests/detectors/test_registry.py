"""The detector registry: a new family is one file and one row, and importing the registry does not import torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.fabricate import write_image
from helpers.tiny_families import MODELS, save_tiny
from PIL import Image

from aligncat.detectors import known, registry
from aligncat.detectors.description import DetectorDescription
from aligncat.detectors.known import HUB_DETECTORS, KNOWN_DETECTORS, KnownDetector, known_detector
from aligncat.detectors.protocol import Detector
from aligncat.detectors.registry import (
    FAMILIES,
    DetectorFamily,
    load_detector,
    open_detector,
)
from aligncat.errors import DetectorError, StoreError
from aligncat.evaluation.training_images import known_training_images
from aligncat.store.extract import extract_images
from aligncat.store.manifest import Manifest
from aligncat.store.reader import Store
from aligncat.types import ImageRecord

WITHOUT_TORCH = (
    "candidates",
    "checked",
    "description",
    "exported",
    "exported_detector",
    "families",
    "folder",
    "known",
    "masks",
    "onnx_runtime",
    "openvino",
    "preprocessing",
    "preprocessor_config",
    "protocol",
    "query_detector",
    "registered",
    "registry",
)
SIZE = 64


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_a_module_imports_without_torch_and_transformers(module: str) -> None:
    code = (
        f"import sys, aligncat.detectors.{module}; "
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.fixture
def bright_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Add a detector family with the module `bright_box.py` and one row, and return the folder of such a detector."""
    shutil.copyfile(Path(__file__).parents[1] / "helpers" / "bright_box.py", tmp_path / "bright_box.py")
    monkeypatch.syspath_prepend(tmp_path)
    row = DetectorFamily(name="bright-box", factory="bright_box:BrightBoxDetector")
    monkeypatch.setattr(registry, "FAMILIES", (*FAMILIES, row))
    folder = tmp_path / "bright"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "bright-box", "aligncat_image_size": SIZE}))
    return folder


def white_box(path: Path) -> ImageRecord:
    """Write a black photo of 128 x 128 px with a white box from (32, 64) to (96, 128)."""
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[64:128, 32:96] = 255
    Image.fromarray(pixels).save(path)
    return ImageRecord("white", path)


def test_a_new_family_is_one_file_and_one_row(bright_box: Path, tmp_path: Path) -> None:
    detector = open_detector(str(bright_box), candidates=3)
    assert detector.description().architecture == "bright-box"
    store = extract_images(images=[white_box(tmp_path / "white.png")], detector=detector, out=tmp_path / "store")
    opened = Store.open(tmp_path / "store", expect=detector.description())
    assert opened.manifest == store.manifest
    assert opened.labels == ("bright", "dark")
    found = opened.candidates("white")
    # Query 0 is the bright part. Its class probabilities are 8/10, 1/10 and 1/10 ("no object"); its mask has 3/4.
    np.testing.assert_allclose(found.confidences[0], 0.8 * 0.75, rtol=1e-6)
    assert (found.queries[0], found.categories[0], found.boxes[0].tolist()) == (0, 0, [32, 64, 96, 128])
    assert load_detector(opened.manifest.detector).description() == detector.description()


def test_a_backend_of_a_known_family_is_one_file_and_one_row(
    bright_box: Path, tiny_detector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = DetectorFamily(
        name="mask2former", factory="bright_box:BrightBoxDetector", backend="numpy", weights=("*.npz",)
    )
    monkeypatch.setattr(registry, "FAMILIES", (*FAMILIES, row))
    config = json.loads((tiny_detector / "config.json").read_text())
    (bright_box / "config.json").write_text(json.dumps({**config, "aligncat_backend": "numpy"}))
    detector = open_detector(str(bright_box), candidates=3)
    assert type(detector).__name__ == "BrightBoxDetector"
    image = white_box(tmp_path / "white.png")
    assert len(extract_images(images=[image], detector=detector, out=tmp_path / "store")) == 1
    assert type(open_detector(str(tiny_detector))).__name__ == "Mask2FormerDetector", "torch is still the default"
    (bright_box / "config.json").write_text(json.dumps({**config, "aligncat_backend": "abacus"}))
    with pytest.raises(DetectorError, match=r"aligncat_backend is 'abacus', but mask2former runs on torch, .*, numpy"):
        open_detector(str(bright_box))


def test_a_store_of_another_family_is_refused(bright_box: Path, tiny_detector: Path, tmp_path: Path) -> None:
    image = ImageRecord("a", write_image(tmp_path / "a.png", 0))
    extract_images(images=[image], detector=open_detector(str(bright_box)), out=tmp_path / "store")
    with pytest.raises(StoreError, match=r'detector\.architecture: the store has "bright-box", not "mask2former"'):
        Store.open(tmp_path / "store", expect=open_detector(str(tiny_detector)).description())


def test_a_missing_extra_is_named_before_the_family_is_imported(
    bright_box: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = DetectorFamily("bright-box", "no_such_module:Detector", extra="bright", modules=("no_such_runtime",))
    monkeypatch.setattr(registry, "FAMILIES", (*FAMILIES, row))
    with pytest.raises(
        DetectorError, match=r"need no_such_runtime, which is not installed; run pip install 'aligncat\[bright\]'"
    ):
        open_detector(str(bright_box))


def test_the_error_of_an_unknown_family_names_the_known_ones(bright_box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FAMILIES", FAMILIES)
    with pytest.raises(DetectorError, match="model_type is 'bright-box', but must be 'mask2former'"):
        open_detector(str(bright_box))


def test_facts_about_a_checkpoint_are_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    row = KnownDetector(name="lab/bright-*", trained_on="coco-train2014", licence="The detector {name} is MIT.")
    assert known_detector("lab/bright-large") is None
    monkeypatch.setattr(known, "KNOWN_DETECTORS", (*KNOWN_DETECTORS, row))
    assert known_detector("lab/bright-large") == row
    images = known_training_images("lab/bright-large", "refcoco")
    assert images is not None and images.holds("COCO_train2014_000000000009.jpg")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_loads_from_its_row(family: DetectorFamily, tiny_detector: Path, tmp_path: Path) -> None:
    """Add a tiny checkpoint here for each new family; those of transformers are in tiny_families.py."""
    if family.name == "mask2former":
        folder = tiny_detector
    else:
        name = next(name for name, (of_family, _) in MODELS.items() if of_family == family.name)
        folder = save_tiny(name, tmp_path / name)
    detector: Detector = open_detector(str(folder))
    assert detector.description().architecture == family.name
    content = json.loads(json.dumps(detector.description().to_json()))
    assert DetectorDescription.from_json(content) == detector.description()
    assert Manifest.of(detector, ["a"], 1).detector == detector.description()


@pytest.mark.parametrize("name", [each for each in HUB_DETECTORS if "mask2former" not in each])
def test_a_coco_checkpoint_of_any_family_has_seen_the_photos_of_refcoco(name: str) -> None:
    images = known_training_images(name, "refcoco")
    assert images is not None and images.name == "coco-train2017"
    assert images.holds("COCO_train2014_000000000009.jpg")


def test_a_checkpoint_that_saw_no_coco_is_not_judged_by_its_owner() -> None:
    assert known_detector("ustc-community/dfine-large-obj365") is None


def test_the_mini_detector_is_a_row() -> None:
    mini = known_detector("mini")
    assert mini is not None and mini.folder is not None and (mini.folder / "config.json").is_file()
    assert known_detector("somebody/mini") is None
