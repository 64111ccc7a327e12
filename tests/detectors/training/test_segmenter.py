"""The model that training starts from: its families, its new head, and its own loss."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_detector import save_tiny_detector
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    DetrConfig,
    EomtConfig,
    EomtForUniversalSegmentation,
    MaskFormerConfig,
    MaskFormerForInstanceSegmentation,
    SwinConfig,
)

from aligncat.detectors.folder import DetectorFolder
from aligncat.detectors.registry import detector_folder, open_detector
from aligncat.detectors.training.examples import Example
from aligncat.detectors.training.segmenter import check_trainable, example_loss, labels_of, rounded, start_from
from aligncat.errors import DetectorError

SIZE = 64


def mask2former(folder: Path) -> Path:
    return save_tiny_detector(folder)


def maskformer(folder: Path) -> Path:
    config = MaskFormerConfig(  # type: ignore[call-arg]
        backbone_config=SwinConfig(embed_dim=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4], window_size=4),  # type: ignore[call-arg]
        decoder_config=DetrConfig(
            d_model=32, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32, decoder_ffn_dim=32,
            decoder_attention_heads=2, encoder_attention_heads=2, num_queries=6,
        ),
        fpn_feature_size=32,
        mask_feature_size=32,
        id2label={0: "cat", 1: "dog"},
    )  # fmt: skip
    MaskFormerForInstanceSegmentation(config).save_pretrained(folder)
    return folder


def eomt(folder: Path) -> Path:
    config = EomtConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=2, image_size=SIZE, patch_size=8, num_queries=6,
        num_blocks=1, num_upscale_blocks=1, id2label={0: "cat", 1: "dog"}, train_num_points=64,
    )  # fmt: skip
    EomtForUniversalSegmentation(config).save_pretrained(folder)
    return folder


def batch() -> list[Example]:
    masks = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    masks[0, 5:30, 5:30] = masks[1, 30:60, 20:60] = True
    pixels = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return [Example(pixels, masks, torch.tensor([0, 2])), Example(pixels, masks[:0], torch.zeros(0, dtype=torch.int64))]


@pytest.mark.parametrize("make", [mask2former, maskformer, eomt])
def test_a_family_of_class_and_mask_logits_learns_with_its_own_loss(make: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    folder = detector_folder(str(make(tmp_path / "detector")))
    names = ("boat", "cat", "rocket")
    segmenter = start_from(folder, names, [None, labels_of(folder).index("cat"), None], None)
    assert segmenter.size == SIZE or make is maskformer
    model = segmenter.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for step in range(12):
        torch.manual_seed(step)
        loss = example_loss(model, batch())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    output = model.eval()(pixel_values=batch()[0].pixels[None])
    assert output.class_queries_logits.shape[-1] == 4


def head(folder: Path) -> tuple[Tensor, Tensor]:
    weights = load_file(folder / "model.safetensors")
    return weights["class_predictor.weight"], weights["class_predictor.bias"]


def test_rows_of_known_categories_and_of_no_object_are_copied_and_all_other_weights_too(tmp_path: Path) -> None:
    folder = save_tiny_detector(tmp_path / "detector")  # cat, dog, cup, tree, bus
    segmenter = start_from(detector_folder(str(folder)), ["bus", "rocket", "cat"], [4, None, 0], None)
    weight, bias = head(folder)
    new = segmenter.model.class_predictor
    for row, old in ((0, 4), (2, 0), (3, 5)):
        assert torch.equal(new.weight[row], weight[old]) and torch.equal(new.bias[row], bias[old])
    assert not any(torch.equal(new.weight[1], row) for row in weight)
    assert segmenter.kept == ("bus", "cat") and segmenter.model.config.id2label == {0: "bus", 1: "rocket", 2: "cat"}
    old_model = start_from(detector_folder(str(folder)), labels_of(detector_folder(str(folder))), range(5), None).model
    ours, theirs = segmenter.model.state_dict(), old_model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert name.startswith(("class_predictor", "criterion")) or torch.equal(ours[name], tensor), name


def test_equal_labels_keep_the_whole_head(tmp_path: Path) -> None:
    folder = detector_folder(str(save_tiny_detector(tmp_path / "detector")))
    segmenter = start_from(folder, labels_of(folder), range(5), 96)
    weight, bias = head(tmp_path / "detector")
    assert torch.equal(segmenter.model.class_predictor.weight, weight)
    assert torch.equal(segmenter.model.class_predictor.bias, bias) and segmenter.size == 96


def test_the_mini_detector_keeps_its_size_and_its_half_precision() -> None:
    segmenter = start_from(detector_folder("mini"), ["dog"], [None], None)
    assert (segmenter.size, segmenter.dtype, segmenter.own_recipe) == (160, torch.float16, True)


def test_rounded_weights_are_those_of_the_file() -> None:
    model = torch.nn.Linear(3, 2)
    copy = rounded(model, torch.float16)
    assert torch.equal(copy.weight, model.weight.half().float()) and copy.weight.dtype == torch.float32
    assert not torch.equal(copy.weight, model.weight)


def test_a_checkpoint_without_what_no_detector_reads_can_be_trained(tmp_path: Path) -> None:
    """Such are the Swin checkpoints on the hub: older versions of transformers had no norm after the last stage."""
    folder = save_tiny_detector(tmp_path / "detector")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not re.search(r"swin\.layernorm|criterion", name)}
    assert len(kept) == len(weights) - 3
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    read = detector_folder(str(folder))
    open_detector(folder)
    model = start_from(read, labels_of(read), range(5), None).model
    assert torch.equal(model.criterion.empty_weight, weights["criterion.empty_weight"])
    assert example_loss(model.train(), batch()).isfinite()


def test_the_size_is_the_one_at_which_the_detector_is_used(tmp_path: Path) -> None:
    folder = maskformer(tmp_path / "detector")
    read = detector_folder(str(folder))
    for content, size in (({}, 800), ({"size": {"shortest_edge": 96, "longest_edge": 200}}, 96)):
        (folder / "preprocessor_config.json").write_text(json.dumps(content))
        assert start_from(read, ["cat"], [0], None).size == size
        assert open_detector(folder).description().image_size == size


def plain(folder: Path, config: dict[str, Any]) -> DetectorFolder:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return detector_folder(str(folder))


def test_other_families_are_refused_in_one_sentence(tmp_path: Path) -> None:
    refused = r"cannot be trained here; start from a detector of queries with class and mask logits"
    folders = [
        plain(tmp_path / "detr", {"model_type": "detr", "architectures": ["DetrForSegmentation"]}),
        plain(tmp_path / "oneformer", {"model_type": "oneformer", "backbone_config": {"model_type": "swin"}}),
        plain(tmp_path / "rt", {"model_type": "rt_detr_v2", "architectures": ["RTDetrV2ForObjectDetection"]}),
        plain(tmp_path / "unknown", {"model_type": "no-such-model"}),
        plain(tmp_path / "none", {"labels": []}),
        plain(tmp_path / "onnx", {"model_type": "mask2former", "aligncat_backend": "onnx"}),
    ]
    for folder in folders:
        with pytest.raises(DetectorError, match=refused):
            check_trainable(folder)


def test_a_detector_without_labels_is_refused(tmp_path: Path) -> None:
    for number, labels in enumerate((None, {"0": "cat", "2": "dog"}, ["cat"])):
        folder = plain(tmp_path / str(number), {"model_type": "mask2former", "id2label": labels})
        with pytest.raises(DetectorError, match="has no labels"):
            labels_of(folder)


def test_missing_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    folder = save_tiny_detector(tmp_path / "detector")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DetectorError, match="the weights cannot be loaded"):
        start_from(detector_folder(str(folder)), ["cat"], [0], None)
    weights.unlink()
    with pytest.raises(DetectorError, match=r"no \*.safetensors file"):
        start_from(detector_folder(str(folder)), ["cat"], [0], None)


def test_a_model_of_one_size_is_trained_at_that_size(tmp_path: Path) -> None:
    folder = detector_folder(str(eomt(tmp_path / "detector")))
    assert start_from(folder, ["cat"], [0], SIZE).size == start_from(folder, ["cat"], [0], None).size == SIZE
    with pytest.raises(DetectorError, match="reads only squares of 64 pixels"):
        start_from(folder, ["cat"], [0], 96)
