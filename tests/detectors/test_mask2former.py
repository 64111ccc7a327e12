"""The Mask2Former detector, compared with the transformers model and an independent computation of candidates."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.direct import largest_component, photo_logits
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask
from safetensors.torch import load_file, save_file
from scipy.special import logit
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.detectors.candidates import ConfidenceRule, pair_confidences
from aligncat.detectors.preprocessing import normalize
from aligncat.detectors.query_detector import QueryDetector
from aligncat.detectors.registry import open_detector
from aligncat.errors import ConfigError, DetectorError
from aligncat.geometry import letterbox_image


def picture(width: int = 50, height: int = 30, seed: int = 0) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def detector(tiny_detector: Path) -> QueryDetector:
    return open_detector(str(tiny_detector))


def bare_outputs(folder: Path, pixels: torch.Tensor) -> tuple[Any, torch.Tensor]:
    """Return the output of the transformers model, and the normalised decoder states as (B, N, d)."""
    model = Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        states = model.model(pixel_values=pixels, output_hidden_states=True)
        normed = states.transformer_decoder_intermediate_states[-1].transpose(0, 1)  # the model keeps them as (N, B, d)
        return model(pixel_values=pixels), normed


def test_the_query_feature_is_the_one_after_the_decoders_layer_norm(
    detector: QueryDetector, tiny_detector: Path
) -> None:
    pixels = normalize([letterbox_image(picture(), 64)[0], letterbox_image(picture(20, 60, 1), 64)[0]])
    outputs, normed = bare_outputs(tiny_detector, torch.from_numpy(pixels))
    class_logits, mask_logits, features = map(torch.from_numpy, detector.forward(pixels)[:3])
    torch.testing.assert_close(features, normed, rtol=0, atol=1e-5)
    assert not torch.allclose(features, outputs.transformer_decoder_last_hidden_state, atol=1e-2)
    torch.testing.assert_close(class_logits, outputs.class_queries_logits, rtol=0, atol=1e-5)
    torch.testing.assert_close(mask_logits, outputs.masks_queries_logits, rtol=0, atol=1e-5)


def test_normalisation_is_imagenets() -> None:
    square = Image.new("RGB", (2, 2), (255, 0, 51))
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    np.testing.assert_allclose(normalize([square])[0, :, 1, 0], expected, rtol=1e-6)


def slow_confidences(class_logits: NDArray[Any], mask_logits: NDArray[Any]) -> NDArray[np.float64]:
    """Compute QueryMatch's rule in float64, one query at a time."""
    result = np.zeros((len(class_logits), class_logits.shape[1] - 1))
    for query, (classes, mask) in enumerate(zip(class_logits, mask_logits, strict=True)):
        probabilities = 1 / (1 + np.exp(-mask.astype(np.float64)))
        inside = probabilities[probabilities > 0.5]
        exponentials = np.exp(classes.astype(np.float64) - classes.max())
        if inside.size:
            result[query] = exponentials[:-1] / exponentials.sum() * inside.mean()
    return result


@pytest.fixture(params=["numpy", "torch"])
def confidences(request: pytest.FixtureRequest, detector: QueryDetector) -> ConfidenceRule:
    """Return the implementation in numpy, or the one of Mask2Former in torch."""
    return pair_confidences if request.param == "numpy" else detector.confidences


def test_confidence_by_hand(confidences: ConfidenceRule) -> None:
    class_logits = np.log(np.float32([[1.0, 3.0, 4.0]]))  # probabilities 1/8, 3/8, no-object 1/2
    mask_logits = logit(np.float32([[[0.8, 0.6], [0.4, 0.5]]]))
    found = confidences(class_logits, mask_logits)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0.7 / 8, 2.1 / 8]], rtol=1e-6)


def test_confidences_agree_with_the_slow_rule_and_are_zero_for_an_empty_mask(confidences: ConfidenceRule) -> None:
    generator = np.random.default_rng(0)
    class_logits = generator.standard_normal((6, 5), np.float32)
    mask_logits = generator.standard_normal((6, 7, 9), np.float32)
    mask_logits[2] = -1.0
    found = confidences(class_logits, mask_logits)
    np.testing.assert_allclose(found, slow_confidences(class_logits, mask_logits), rtol=1e-5)
    assert (found[2] == 0).all()


@pytest.mark.parametrize(
    ("width", "height", "inner"),
    [
        # the rows and columns of the 16 x 16 grid that the letterboxed image touches
        (64, 64, np.s_[:, 0:16, 0:16]),
        (50, 30, np.s_[:, 3:13, 0:16]),  # 38 rows from 13: to 51 of 64, cells 3 to 12
        (20, 100, np.s_[:, 0:16, 6:10]),  # 12 columns from 26: cells 6 to 9
    ],
)
def test_candidates_agree_with_a_direct_computation(
    detector: QueryDetector, tiny_detector: Path, width: int, height: int, inner: Any
) -> None:
    image = picture(width, height)
    [found] = detector.detect([image], ["seven"])
    outputs, normed = bare_outputs(tiny_detector, torch.from_numpy(normalize([letterbox_image(image, 64)[0]])))
    masks = outputs.masks_queries_logits[0].numpy()
    confidences = slow_confidences(outputs.class_queries_logits[0].numpy(), masks[inner])
    order = np.argsort(-confidences.ravel())[:20]

    assert (found.image_id, found.width, found.height, len(found)) == ("seven", width, height, 20)
    np.testing.assert_array_equal(found.queries, order // 5)
    np.testing.assert_array_equal(found.categories, order % 5)
    np.testing.assert_allclose(found.confidences, confidences.ravel()[order], rtol=1e-5)
    np.testing.assert_allclose(found.features, normed[0, found.queries], atol=2e-3, rtol=1e-3)
    for place, query in enumerate(found.queries):
        direct = photo_logits(masks[query], width, height, 64)
        mask = coco_mask.decode(found.masks[place]).astype(bool)
        wrong = mask != (direct > 0)
        assert np.abs(direct[wrong]).max(initial=0) < 1e-4
        assert found.boxes[place].tolist() == largest_component(mask)
    kinds = [getattr(found, name).dtype for name in ("features", "queries", "categories", "confidences", "boxes")]
    assert kinds == [np.float16, np.int32, np.int32, np.float32, np.float32]


def test_the_same_image_always_gives_the_same_candidates(detector: QueryDetector, tiny_detector: Path) -> None:
    again = open_detector(str(tiny_detector))
    [first], [second] = detector.detect([picture()], ["a"]), again.detect([picture()], ["a"])
    assert first.masks == second.masks
    for name in ("features", "queries", "categories", "confidences", "boxes"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_images_in_a_batch_do_not_influence_each_other(detector: QueryDetector) -> None:
    images = [picture(50, 30, 0), picture(30, 50, 1), picture(64, 64, 2)]
    together = detector.detect(images, ["a", "b", "c"])
    for image, image_id, found in zip(images, "abc", together, strict=True):
        [alone] = detector.detect([image], [image_id])
        assert (found.image_id, found.width, found.height) == (image_id, *image.size)
        np.testing.assert_array_equal(found.queries, alone.queries)
        np.testing.assert_allclose(found.confidences, alone.confidences, rtol=1e-4)
    assert detector.detect([], []) == []


@pytest.mark.parametrize(("asked", "given"), [(3, 3), (40, 40), (1000, 40)])
def test_there_are_at_most_as_many_candidates_as_pairs(tiny_detector: Path, asked: int, given: int) -> None:
    detector = open_detector(str(tiny_detector), candidates=asked)
    [found] = detector.detect([picture()], ["a"])
    assert len(found) == len(found.masks) == given
    assert (np.diff(found.confidences) <= 0).all()


def edited(folder: Path, to: Path, edit: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> str:
    """Copy a detector, edit its weights, and return the new folder."""
    shutil.copytree(folder, to)
    tensors = edit(load_file(to / "model.safetensors"))
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return str(to)


def test_queries_with_empty_masks_are_never_candidates(tiny_detector: Path, tmp_path: Path) -> None:
    def blank(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {key: value * 0 if "mask_projection" in key else value for key, value in tensors.items()}

    detector = open_detector(edited(tiny_detector, tmp_path / "blank", blank))
    [found] = detector.detect([picture()], ["a"])
    assert len(found) == 0
    assert (found.features.shape, found.boxes.shape, found.masks) == ((0, 32), (0, 4), ())


def test_output_that_is_not_finite_is_reported(tiny_detector: Path, tmp_path: Path) -> None:
    def spoil(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {k: v * float("nan") if k.startswith("class_predictor") else v for k, v in tensors.items()}

    detector = open_detector(edited(tiny_detector, tmp_path / "nan", spoil))
    with pytest.raises(DetectorError, match=r"image a: .*not finite"):
        detector.detect([picture()], ["a"])


def test_half_precision_weights_are_converted_to_single_precision(tiny_detector: Path, tmp_path: Path) -> None:
    folder = edited(tiny_detector, tmp_path / "half", lambda tensors: {k: v.half() for k, v in tensors.items()})
    half = open_detector(folder)
    class_logits = half.forward(normalize([letterbox_image(picture(), 64)[0]])).class_logits
    assert class_logits.dtype == np.float32
    rounded = class_logits.astype(np.float16).astype(np.float32)
    assert not np.array_equal(class_logits, rounded)


def test_the_description_changes_with_every_setting_that_changes_the_candidates(
    tiny_detector: Path, tmp_path: Path
) -> None:
    detector = open_detector(str(tiny_detector))
    description = detector.description()
    content = description.to_json()
    assert json.loads(json.dumps(content)) == content
    assert detector.labels == ("cat", "dog", "cup", "tree", "bus")
    assert (detector.feature_dim, detector.candidates, detector.device) == (32, 20, "cpu")
    assert description.name == str(tiny_detector)
    assert description.image_size == 64  # recorded in the model's own config.json

    def differing(name: str, **settings: int) -> set[str]:
        other = open_detector(name, **settings).description().to_json()  # type: ignore[arg-type]
        return {key for key in content if content[key] != other[key]}

    moved = Path(shutil.copytree(tiny_detector, tmp_path / "moved"))
    assert differing(str(moved)) == {"name"}
    shifted = edited(tiny_detector, tmp_path / "other", lambda t: {k: v + 0.5 for k, v in t.items()})
    assert differing(shifted) == {"name", "weights_sha256"}
    assert differing(str(tiny_detector), image_size=96, candidates=5) == {"image_size", "candidates"}


def test_the_image_size_defaults_to_416(tiny_detector: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_detector, tmp_path / "plain"))
    config = json.loads((folder / "config.json").read_text())
    del config["aligncat_image_size"]
    (folder / "config.json").write_text(json.dumps(config))
    assert open_detector(str(folder)).description().image_size == 416


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def another_architecture(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))


def config_of_a_list(folder: Path) -> None:
    (folder / "config.json").write_text("[1]")


def pickled_weights_only(folder: Path) -> None:
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()


def truncated_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def missing_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["class_predictor.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def tensor_of_another_shape(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["class_predictor.weight"] = torch.zeros(3, 32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_config, r"no config\.json"),
        (broken_config, r"config\.json: not JSON"),
        (another_architecture, r"model_type is 'bert', but must be 'mask2former'"),
        (config_of_a_list, r"config\.json: must be a mapping of settings, not list"),
        (pickled_weights_only, r"no \*\.safetensors file\. aligncat does not load pickled weights"),
        (truncated_weights, r"weights cannot be loaded"),
        (missing_tensor, r"1 tensors are missing from the weights, such as class_predictor\.weight"),
        (tensor_of_another_shape, r"weights cannot be loaded"),
    ],
)
def test_a_damaged_folder_is_a_detector_error(
    tiny_detector: Path, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    folder = Path(shutil.copytree(tiny_detector, tmp_path / "damaged"))
    damage(folder)
    with pytest.raises(DetectorError, match=message):
        open_detector(str(folder))


def test_a_name_that_is_neither_folder_nor_hub_name_is_a_detector_error() -> None:
    with pytest.raises(DetectorError, match="neither a local folder nor a model that can be downloaded from the hub"):
        open_detector("no such/folder/at all")


@pytest.mark.parametrize("setting", [{"candidates": 0}, {"image_size": 8}])
def test_settings_out_of_range_are_config_errors(tiny_detector: Path, setting: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        open_detector(str(tiny_detector), **setting)
