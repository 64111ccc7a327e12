"""A converted checkpoint gives the same results as the original, and every key is converted or dropped."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.original_mask2former import averaged_index, position_index
from helpers.tiny_original import CLASSES, QUERIES, TINY, Original, original
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Mask2FormerForUniversalSegmentation

from aligncat.checkpoints.mask2former.architectures import ARCHITECTURES, transformers_config
from aligncat.checkpoints.mask2former.convert import convert
from aligncat.checkpoints.mask2former.keys import weights_of
from aligncat.detectors.registry import open_detector
from aligncat.errors import CheckpointError

INDEX = "backbone.layers.0.blocks.1.attn.relative_position_index"
TABLE = "backbone.layers.0.blocks.1.attn.relative_position_bias_table"


@pytest.fixture(scope="module", params=TINY)
def made(request: pytest.FixtureRequest) -> Original:
    return original(request.param)


@pytest.fixture(scope="module")
def swin() -> Original:
    return original("swin")


def save(state: dict[str, Tensor], checkpoint: Original, folder: Path) -> Path:
    converted = convert(state, checkpoint.architecture, "model.pth")
    folder.mkdir(exist_ok=True)
    save_file(converted.weights, folder / "model.safetensors", metadata={"format": "pt"})
    labels = [f"thing {index}" for index in range(converted.classes)]
    config = transformers_config(checkpoint.architecture, converted.queries, labels)
    config.update({"aligncat_image_size": 64})
    (folder / "config.json").write_text(config.to_json_string(use_diff=False))
    return folder


def test_the_converted_model_gives_the_results_of_the_original(made: Original, tmp_path: Path) -> None:
    detector = open_detector(str(save(made.state, made, tmp_path)))
    class_logits, mask_logits, features = map(torch.from_numpy, detector.forward(made.image.numpy())[:3])
    assert features.shape == (1, QUERIES, 64)
    assert class_logits.shape == (1, QUERIES, CLASSES + 1)
    assert mask_logits.shape == (1, QUERIES, 18, 22)
    torch.testing.assert_close(features[0], made.features, atol=1e-4, rtol=0)
    torch.testing.assert_close(class_logits[0], made.class_logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(mask_logits[0], made.mask_logits, atol=1e-4, rtol=1e-4)


def test_every_kind_of_weight_changes_the_class_logits(made: Original, tmp_path: Path) -> None:
    folder = save(made.state, made, tmp_path)
    model = Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()
    kinds = {re.sub(r"\d+", "#", name): tensor for name, tensor in model.named_parameters()}
    unread = set()
    with torch.inference_mode():
        before = model(pixel_values=made.image).class_queries_logits
        for kind, tensor in kinds.items():
            kept = tensor.clone()
            tensor.add_(torch.linspace(0.5, 1.5, tensor.numel()).view_as(tensor))
            moved = (model(pixel_values=made.image).class_queries_logits - before).abs().max()
            tensor.copy_(kept)
            if moved < 1e-3:
                unread.add(kind)
    # The bias of a key adds the same number to all logits of a softmax, so it has no effect. The mask head affects the
    # classes through the signs of the masks.
    assert {kind for kind in unread if not re.search(r"\.(key|k_proj)\.bias|swin\.layernorm", kind)} == set()


def test_a_converted_folder_has_no_missing_and_no_unexpected_tensors(made: Original, tmp_path: Path) -> None:
    folder = save(made.state, made, tmp_path)
    _, info = Mask2FormerForUniversalSegmentation.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]


def test_tensors_that_no_detector_uses_may_be_missing(swin: Original, tmp_path: Path) -> None:
    """Files from older versions of transformers do not have the norm after Swin's last stage."""
    whole, less = (save(swin.state, swin, tmp_path / name) for name in ("whole", "less"))
    weights = load_file(less / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if not re.search(r"swin\.layernorm|criterion", name)}
    assert len(kept) == len(weights) - 3
    save_file(kept, less / "model.safetensors", metadata={"format": "pt"})
    for ours, theirs in zip(
        *(open_detector(str(folder)).forward(swin.image.numpy()) for folder in (whole, less)), strict=True
    ):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_real_architectures_have_the_same_shapes_as_in_transformers(name: str) -> None:
    architecture = ARCHITECTURES[name]  # type: ignore[index]
    config = transformers_config(architecture, 100, [f"thing {index}" for index in range(80)])
    with torch.device("meta"):
        model = Mask2FormerForUniversalSegmentation(config)
    ours = sorted(
        (shape[0] // len(weight.targets), *shape[1:])
        for weight in weights_of(architecture, 100, 80)
        for shape in [weight.shape] * len(weight.targets)
    )
    passive = ("criterion.empty_weight", "num_batches_tracked", "swin.layernorm.weight", "swin.layernorm.bias")
    theirs = sorted(
        tuple(tensor.shape) for key, tensor in model.state_dict().items() if not key.endswith((*passive, "_index"))
    )
    assert ours == theirs


def test_unneeded_keys_are_dropped_with_a_reason(swin: Original) -> None:
    unneeded = {
        "criterion.empty_weight": torch.ones(CLASSES + 1),
        INDEX: position_index(4),
        "pixel_mean": torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1),
        "pixel_std": torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1),
    }
    converted = convert(swin.state | unneeded, swin.architecture, "model.pth")
    assert set(converted.dropped) == set(unneeded)
    assert converted.used == len(swin.state)
    assert "loss" in converted.dropped["criterion.empty_weight"]
    assert converted.dropped[INDEX] == "it follows from the window size"


def test_a_shifted_position_index_gives_the_results_that_the_original_has_with_it(
    swin: Original, tmp_path: Path
) -> None:
    """QueryMatch's training averages the index, and its results were measured with the average."""
    shifted = original("swin", index=averaged_index(4, steps=3000))
    assert not torch.equal(shifted.state[INDEX], position_index(4))
    detector = open_detector(str(save(shifted.state, shifted, tmp_path)))
    class_logits, mask_logits, features = map(torch.from_numpy, detector.forward(shifted.image.numpy())[:3])
    torch.testing.assert_close(features[0], shifted.features, atol=1e-4, rtol=0)
    torch.testing.assert_close(class_logits[0], shifted.class_logits, atol=1e-4, rtol=0)
    torch.testing.assert_close(mask_logits[0], shifted.mask_logits, atol=1e-4, rtol=1e-4)
    assert (shifted.features - swin.features).abs().max() > 0.1  # the same weights with the computed index


def test_the_computed_position_index_changes_nothing(swin: Original) -> None:
    without = convert(swin.state, swin.architecture, "model.pth")
    for index in (position_index(4), position_index(4).float()):
        converted = convert(swin.state | {INDEX: index}, swin.architecture, "model.pth")
        assert converted.position_index.names == ()
        assert all(torch.equal(tensor, without.weights[name]) for name, tensor in converted.weights.items())


def test_the_rows_of_the_table_move_as_the_index_says(swin: Original) -> None:
    moved = {48: 47, 24: 0}  # the centre of window 4 is row 24; all other rows stay
    index = position_index(4).apply_(lambda row: moved.get(row, row))
    converted = convert(swin.state | {INDEX: index}, swin.architecture, "model.pth")
    name = "model.pixel_level_module.encoder.encoder.layers.0.blocks.1.attention.self.relative_position_bias_table"
    expected = swin.state[TABLE].clone()
    expected[48], expected[24] = swin.state[TABLE][47], swin.state[TABLE][0]
    assert torch.equal(converted.weights[name], expected)
    assert converted.dropped[INDEX] == "its shift is folded into relative_position_bias_table"
    # Of the 256 pairs of patches, 16 have the offset of row 24 and one that of row 48.
    assert converted.position_index.summary().startswith("shifted in 1 of 1 blocks (7% of all entries)")


def _changed(row: int, column: int, value: float) -> Tensor:
    index = position_index(4).double()
    index[row, column] = value
    return index


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (_changed(0, 0, 3), r"relative_position_index.*same offset have different values.*cannot express"),
        (_changed(0, 0, float("nan")), r"values that are not rows of its bias table \(0 to 48\)"),
        (_changed(15, 0, 49), r"values that are not rows of its bias table"),
        (position_index(4) - 1, r"values that are not rows of its bias table"),
        (position_index(4) + 0.5, r"values that are not rows of its bias table"),
        (position_index(3), r"shape \(9, 9\), which does not fit its bias table of shape \(49, 1\)"),
        (torch.zeros(16), r"shape \(16,\), which does not fit"),
        (torch.zeros(15, 15), r"shape \(15, 15\), which does not fit"),
        (torch.zeros(0, 0), r"shape \(0, 0\), which does not fit"),
    ],
)
def test_a_position_index_that_no_table_can_express_is_an_error(swin: Original, index: Tensor, message: str) -> None:
    with pytest.raises(CheckpointError, match=r"model\.pth: " + ".*" + message):
        convert(swin.state | {INDEX: index}, swin.architecture, "model.pth")


def test_other_pixel_means_are_an_error(swin: Original) -> None:
    state = swin.state | {"pixel_mean": torch.tensor([103.53, 116.28, 123.675]).view(3, 1, 1)}  # BGR
    with pytest.raises(CheckpointError, match=r"model\.pth.*pixel_mean is \[103\.53, 116\.28, 123\.675\]"):
        convert(state, swin.architecture, "model.pth")


def test_old_heads_convert_to_the_same_weights(swin: Original) -> None:
    old = {
        name.replace("sem_seg_head.pixel_decoder.", "sem_seg_head.").replace("query_feat", "static_query"): tensor
        for name, tensor in swin.state.items()
    }
    assert "sem_seg_head.adapter_1.weight" in old and "sem_seg_head.predictor.static_query.weight" in old
    new, converted = (convert(state, swin.architecture, "model.pth").weights for state in (swin.state, old))
    assert new.keys() == converted.keys()
    assert all(torch.equal(new[name], converted[name]) for name in new)


def test_a_key_under_its_old_and_its_new_name_is_an_error(swin: Original) -> None:
    name = "sem_seg_head.predictor.query_feat.weight"
    both = swin.state | {name.replace("query_feat", "static_query"): swin.state[name]}
    with pytest.raises(CheckpointError, match=r"query_feat\.weight occurs twice"):
        convert(both, swin.architecture, "model.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone.norm0.weight": None}, r"1 missing: backbone\.norm0\.weight"),
        ({"backbone.norm9.weight": torch.ones(3)}, r"1 extra: backbone\.norm9\.weight"),
        ({"backbone.norm0.bias": torch.ones(13)}, r"1 of another shape: backbone\.norm0\.bias \(13,\), not \(12,\)"),
        ({"sem_seg_head.predictor.class_embed.weight": None}, "no matrix.*class_embed.*not a Mask2Former"),
        ({"sem_seg_head.predictor.class_embed.bias": torch.ones(3)}, r"class_embed\.bias \(3,\), not \(6,\)"),
    ],
)
def test_the_error_names_a_wrong_key(swin: Original, change: dict[str, Tensor | None], message: str) -> None:
    state = {name: tensor for name, tensor in (swin.state | change).items() if tensor is not None}
    with pytest.raises(CheckpointError, match=message):
        convert(state, swin.architecture, "model.pth")


def test_the_error_of_another_architecture_names_the_mismatched_keys(swin: Original) -> None:
    with pytest.raises(CheckpointError, match=r"missing: backbone\.stem.*extra: backbone\.layers"):
        convert(swin.state, TINY["resnet"], "model.pth")
