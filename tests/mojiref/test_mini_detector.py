"""The mini detector's training: its examples, resumption, and the saved folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import ResNetBackbone

from aligncat.detectors import known as facts
from aligncat.detectors import registry
from aligncat.detectors.registry import open_detector
from aligncat.errors import DetectorError
from aligncat.mojiref.detector import _DetectorScenes, _start
from aligncat.mojiref.detector_recipe import ARCHITECTURES, MiniDetectorConfig
from aligncat.mojiref.glyphs import CATEGORIES
from aligncat.mojiref.scenes import compose
from aligncat.mojiref.train_detector import train_mini_detector
from aligncat.mojiref.version2 import scenes as second

IMAGE_SIZE = ARCHITECTURES[1].image_size
TINY = MiniDetectorConfig(pretraining_images=4, images=8, batch_size=2, warmup=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_mini_detector(out=tmp_path_factory.mktemp("mini") / "detector", recipe=TINY)


def test_the_folder_is_a_detector_with_cocos_names_and_the_mini_image_size(trained: Path) -> None:
    detector = open_detector(str(trained), candidates=5)
    assert detector.labels == tuple(category.name for category in CATEGORIES)
    assert detector.description().image_size == IMAGE_SIZE
    [candidates] = detector.detect([Image.fromarray(compose(0, "val", 0).pixels)], ["0"])
    assert candidates.features.shape == (len(candidates), detector.feature_dim)


def test_no_other_file_is_left_next_to_the_folder(trained: Path) -> None:
    assert [path.name for path in trained.parent.iterdir()] == ["detector"]


def test_an_interrupted_training_resumes_to_the_same_weights(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "detector"

    class StopTrainingError(Exception):
        pass

    passes = 0

    def interrupt(module: torch.nn.Module, args: object, output: object) -> None:
        nonlocal passes
        if isinstance(module, ResNetBackbone) and module.training:
            passes += 1
            if passes == 4:  # two of pretraining, then the second of detection
                raise StopTrainingError

    handle = torch.nn.modules.module.register_module_forward_hook(interrupt)
    try:
        with pytest.raises(StopTrainingError):
            train_mini_detector(out=out, recipe=TINY, save_every=1)
    finally:
        handle.remove()
    assert not out.exists()
    with pytest.raises(DetectorError, match="belongs to another recipe"):
        train_mini_detector(out=out, recipe=replace(TINY, learning_rate=1e-3), save_every=1)
    train_mini_detector(out=out, recipe=TINY, save_every=1)
    first, second = (load_file(folder / "model.safetensors") for folder in (trained, out))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_a_training_that_diverges_says_at_which_step(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="naming objects: the gradient of step 2 is not finite"):
        train_mini_detector(out=tmp_path / "detector", recipe=replace(TINY, pretraining_rate=1e30))
    assert not (tmp_path / "detector").exists()


def test_every_second_batch_mirrors_the_previous_one() -> None:
    scenes = _DetectorScenes(TINY, 0, 8)
    batch = [scenes[index] for index in (0, 1)]
    kept = [(example.pixels.clone(), example.masks.clone(), example.classes.clone()) for example in batch]
    for example in batch:  # a data loader moves an example's memory, so later contents are arbitrary
        for tensor in (example.pixels, example.masks, example.classes):
            tensor.fill_(7)
    for (pixels, masks, classes), image in zip(kept, [scenes[index] for index in (2, 3)], strict=True):
        assert torch.equal(pixels.flip(-1), image.pixels)
        assert torch.equal(masks.flip(-1), image.masks)
        assert torch.equal(classes, image.classes)


def test_a_mirrored_batch_is_the_same_if_training_resumes_there() -> None:
    whole, rest = _DetectorScenes(TINY, 0, 8), _DetectorScenes(TINY, 2, 6)
    _, mirrored = whole[0], whole[2]
    assert torch.equal(rest[0].pixels, mirrored.pixels)


def test_masks_are_the_scenes_visible_pixels_and_classes_their_categories() -> None:
    example = _DetectorScenes(TINY, 0, 8)[0]
    scene = compose(0, "detector", 0)
    scale = IMAGE_SIZE / max(scene.pixels.shape[:2])
    for mask, index, entry in zip(example.masks, example.classes, scene.objects, strict=True):
        assert CATEGORIES[int(index)] is entry.category
        assert float(mask.sum()) == pytest.approx(entry.mask.sum() * scale**2, rel=0.15)


def test_no_split_has_the_detectors_scenes() -> None:
    own = {compose(0, "detector", index).pixels.tobytes() for index in range(5)}
    for split in ("train", "val", "testA", "testB"):
        assert not own & {compose(0, split, index).pixels.tobytes() for index in range(5)}


TINY_2 = replace(TINY, version=2)


def test_version_2_has_more_queries_and_a_larger_input(tmp_path: Path) -> None:
    out = train_mini_detector(out=tmp_path / "detector", recipe=TINY_2)
    detector = open_detector(str(out))
    assert detector.labels == open_detector(facts.MINI).labels
    assert (detector.description().image_size, detector.description().candidates) == (192, 20)
    weights = load_file(out / "model.safetensors")
    assert weights["model.transformer_module.queries_features.weight"].shape == (32, 128)
    shipped = load_file(registry._path(facts.MINI2) / "model.safetensors")
    assert {name: (each.shape, each.dtype) for name, each in weights.items()} == {
        name: (each.shape, each.dtype) for name, each in shipped.items()
    }


def test_both_shipped_detectors_are_small() -> None:
    sizes = [(registry._path(name) / "model.safetensors").stat().st_size for name in (facts.MINI, facts.MINI2)]
    assert sum(sizes) < 40e6


def test_version_2_starts_from_the_shipped_weights_and_new_queries() -> None:
    torch.manual_seed(0)
    own = _start(TINY_2).state_dict()
    shipped = load_file(registry._path(facts.MINI) / "model.safetensors")
    queries = {"model.transformer_module.queries_features.weight", "model.transformer_module.queries_embedder.weight"}
    assert queries <= shipped.keys() <= own.keys()
    for name, tensor in shipped.items():
        assert torch.equal(own[name][: len(tensor)] if name in queries else own[name], tensor.to(own[name].dtype)), name
        if name in queries:
            assert own[name][24:].shape == (8, 128) and own[name][24:].std() > 0.1


def test_version_2_learns_from_its_own_scenes() -> None:
    example = _DetectorScenes(TINY_2, 0, 8)[0]
    scene = second.compose(0, "detector", 0)
    assert example.pixels.shape == (3, 192, 192) and len(example.masks) == len(scene.objects)
    scale = 192 / max(scene.pixels.shape[:2])
    for mask, index, entry in zip(example.masks, example.classes, scene.objects, strict=True):
        assert CATEGORIES[int(index)].name == entry.category.name
        assert float(mask.sum()) == pytest.approx(entry.mask.sum() * scale**2, rel=0.2)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_in_its_weights_or_config_is_found(trained: Path, tmp_path: Path) -> None:
    for name, problem in (("model.safetensors", "the weights are damaged"), ("config.json", "damaged or edited")):
        folder = Path(shutil.copytree(trained, tmp_path / name))
        content = (folder / name).read_bytes()
        # The last byte of the weights belongs to a tensor; the last digit of a number in the config is a setting.
        setting = content.find(b'"num_queries": 24') + 16
        flip(folder / name, setting if name == "config.json" else len(content) - 1)
        with pytest.raises(DetectorError, match=problem):
            open_detector(str(folder))


@pytest.mark.parametrize("name", [facts.MINI, facts.MINI2])
def test_a_flipped_bit_in_a_shipped_detector_is_found(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [row] = [known for known in facts.KNOWN_DETECTORS if known.name == name]
    assert row.folder is not None and row.sha256 is not None
    damaged = Path(shutil.copytree(row.folder, tmp_path / name))
    flip(damaged / "model.safetensors", (damaged / "model.safetensors").stat().st_size - 1)
    assert open_detector(name).description().weights_sha256 == row.sha256[0]
    monkeypatch.setattr(facts, "KNOWN_DETECTORS", (replace(row, folder=damaged),))
    with pytest.raises(DetectorError, match="damaged"):
        open_detector(name)
